import { Field } from './field-names.ts';

/** As it appears after `HTTP/`. */
export type HttpVersion = '1.0' | '1.1' | '2';

/** The fields of a message that was read, in order. The view is valid until the next message is read. */
export interface FieldView {
  readonly fieldCount: number;
  /** Lower-case names that its `Connection` fields nominate: they apply to its connection only; null for none. */
  readonly nominated: readonly string[] | null;
  /** The `Field` number of the field's name. */
  fieldNumber(field: number): number;
  fieldName(field: number): string;
  fieldValue(field: number): string;
}

/** A request, independent of its codec. */
export interface RequestView extends FieldView {
  readonly version: HttpVersion;
  readonly method: string;
  /** As the client sent it, for logs. */
  readonly target: string;
  /** The target for the backend: origin-form, or `*`. */
  readonly path: string;
  /** Null if the request has none. */
  readonly authority: string | null;
  /** The protocol that the client asks to switch to: `websocket`, or one that was chosen, as the client wrote it; null for none. */
  readonly protocol: string | null;
  /** Whether it offers to switch to other protocols than WebSocket, among which the host chooses (`ServerStream.chooseProtocol`). */
  readonly offersProtocols: boolean;
  /** Whether the client accepts trailers in the response. */
  readonly takesTrailers: boolean;
  /** In bytes; 0 if there is no body, -1 if it is unknown until the body ends. */
  readonly bodyLength: number;
  /** Whether its credentials authenticate the connection on which they are sent: see `isConnectionScheme`. */
  readonly authenticatesConnection: boolean;
  /** The value of the last field with this `Field` number; null if there is none. */
  value(number: number): string | null;
}

/** A response, independent of its codec. */
export interface ResponseView extends FieldView {
  readonly version: HttpVersion;
  /** 100 to 999. */
  readonly status: number;
  /** In bytes; 0 if there is no body, -1 if it is unknown until the body ends. */
  readonly bodyLength: number;
  readonly hasDate: boolean;
  /** The whole head as it was received, by which what is made of it can be kept; null if there is no such text. */
  readonly source: string | null;
  readonly hasRetryAfter: boolean;
  /** Whether it asks for credentials that authenticate the connection: see `isConnectionScheme`. */
  readonly authenticatesConnection: boolean;
}

/** Whether the `Connection` fields nominate this field (RFC 9110 section 7.6.1). */
export function isNominated(view: FieldView, field: number): boolean {
  return view.nominated?.includes(view.fieldName(field).toLowerCase()) === true;
}

/** Whether a message has a field with this number. */
export function hasField(view: FieldView, number: number): boolean {
  for (let field = 0; field < view.fieldCount; field++) if (view.fieldNumber(field) === number) return true;
  return false;
}

/** All values of a field, joined as a list (RFC 9110 section 5.3); null if there are none. */
export function joinedValues(view: FieldView, number: number): string | null {
  let joined: string | null = null;
  for (let field = 0; field < view.fieldCount; field++) {
    if (view.fieldNumber(field) !== number) continue;
    joined = joined === null ? view.fieldValue(field) : `${joined}, ${view.fieldValue(field)}`;
  }
  return joined;
}

/** The same for a field whose name may have no number. @param name in lower case. */
export function namedValue(view: FieldView, name: string): string | null {
  let joined: string | null = null;
  for (let field = 0; field < view.fieldCount; field++) {
    const found = view.fieldName(field);
    if (found.length !== name.length || found.toLowerCase() !== name) continue;
    joined = joined === null ? view.fieldValue(field) : `${joined}, ${view.fieldValue(field)}`;
  }
  return joined;
}

/**
 * Whether a value of `Authorization` or `WWW-Authenticate` has a scheme that authenticates the connection, and with it
 * every later request there: NTLM, and Negotiate (RFC 4559 section 6).
 */
export function isConnectionScheme(value: string): boolean {
  return /(?:^|,)[ \t]*(?:ntlm|negotiate)(?:[ \t,]|$)/i.test(value);
}

/**
 * The elements of a list, in lower case and without the blanks around them (RFC 9110 section 5.6.1). Empty ones are left
 * out. Only SP and HTAB are blanks: `trim` would take other characters for blanks too.
 */
export function listElements(value: string): string[] {
  const elements: string[] = [];
  for (const part of value.toLowerCase().split(',')) {
    const element = part.replace(/^[ \t]+|[ \t]+$/g, '');
    if (element !== '') elements.push(element);
  }
  return elements;
}

/** Whether an `Upgrade` field names a protocol, in any case. @param protocol in lower case. */
export function namesProtocol(view: FieldView, protocol: string): boolean {
  for (let field = 0; field < view.fieldCount; field++) {
    if (view.fieldNumber(field) !== Field.UPGRADE) continue;
    if (listElements(view.fieldValue(field)).includes(protocol)) return true;
  }
  return false;
}
