import { Field } from './field-names.ts';

/** As it stands behind `HTTP/`. */
export type HttpVersion = '1.0' | '1.1' | '2';

/** The fields of a message that was read, in their order; a view that holds until the next message is read. */
export interface FieldView {
  readonly fieldCount: number;
  /** The number of the field's name in `Field`. */
  fieldNumber(field: number): number;
  fieldName(field: number): string;
  fieldValue(field: number): string;
}

/** A request as every codec shows it. */
export interface RequestView extends FieldView {
  readonly version: HttpVersion;
  readonly method: string;
  /** As the client sent it, for logs. */
  readonly target: string;
  /** What the backend is asked for: origin-form, or `*`. */
  readonly path: string;
  /** Null if the request names none. */
  readonly authority: string | null;
  /** The protocol that the connection is to be switched to, lower case; null for an ordinary request. */
  readonly protocol: 'websocket' | null;
  /** Bytes; 0 for no body, -1 if only the end of the body tells. */
  readonly bodyLength: number;
  /** The value of the last field with this number of `Field`, null without one. */
  value(number: number): string | null;
}

/** A response as every codec shows it. */
export interface ResponseView extends FieldView {
  readonly version: HttpVersion;
  /** 100 to 999. */
  readonly status: number;
  /** Bytes; 0 for no body, -1 if only the end of the body tells. */
  readonly bodyLength: number;
  readonly hasRetryAfter: boolean;
}

/** Whether a message has a field with this number. */
export function hasField(view: FieldView, number: number): boolean {
  for (let field = 0; field < view.fieldCount; field++) if (view.fieldNumber(field) === number) return true;
  return false;
}

/** All values of a field, joined as a list (RFC 9110 section 5.3); null without one. */
export function joinedValues(view: FieldView, number: number): string | null {
  let joined: string | null = null;
  for (let field = 0; field < view.fieldCount; field++) {
    if (view.fieldNumber(field) !== number) continue;
    joined = joined === null ? view.fieldValue(field) : `${joined}, ${view.fieldValue(field)}`;
  }
  return joined;
}

/** Whether one of the `Upgrade` fields names a protocol, in whatever case. @param protocol lower case. */
export function namesProtocol(view: FieldView, protocol: string): boolean {
  for (let field = 0; field < view.fieldCount; field++) {
    if (view.fieldNumber(field) !== Field.UPGRADE) continue;
    for (const token of view.fieldValue(field).split(',')) if (token.trim().toLowerCase() === protocol) return true;
  }
  return false;
}
