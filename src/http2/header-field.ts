import { classOf, HTAB, SP, TOKEN, VALUE } from '../http/bytes.ts';
import { Field, fieldNumberOf } from '../http/field-names.ts';

/** The pseudo-header fields, as numbers that no `Field` has (RFC 9113 section 8.3, RFC 8441 section 4). */
export const Pseudo = {
  AUTHORITY: -1,
  METHOD: -2,
  PATH: -3,
  SCHEME: -4,
  STATUS: -5,
  PROTOCOL: -6,
  /** A name that begins with a colon and is none of these. */
  UNKNOWN: -7,
} as const;

const pseudoNumbers: ReadonlyMap<string, number> = new Map([
  [':authority', Pseudo.AUTHORITY],
  [':method', Pseudo.METHOD],
  [':path', Pseudo.PATH],
  [':scheme', Pseudo.SCHEME],
  [':status', Pseudo.STATUS],
  [':protocol', Pseudo.PROTOCOL],
]);

const COLON_CODE = 58;

/** RFC 7541 section 4.1 adds so much to the bytes of name and value. */
const overheadBytes = 32;

/** One field line of a header section. Those of the HPACK tables are shared by all sections that refer to them. */
export class HeaderField {
  readonly name: string;
  readonly value: string;
  /** A `Field` number, or one of `Pseudo`. */
  readonly number: number;
  /** Why no message may have it (RFC 9113 section 8.2.1), in a few words for logs; empty if one may. */
  readonly problem: string;

  /** @param number of a name that is known to be valid. */
  constructor(name: string, value: string, number: number) {
    this.name = name;
    this.value = value;
    this.number = number;
    this.problem = problemOf(name, value);
  }

  /** Its size in a table or list, in bytes (RFC 7541 section 4.1). */
  get size(): number {
    return this.name.length + this.value.length + overheadBytes;
  }
}

/** The number of a name, which may be invalid. */
export function headerNumberOf(name: string): number {
  if (name.charCodeAt(0) === COLON_CODE) return pseudoNumbers.get(name) ?? Pseudo.UNKNOWN;
  const length = nameBytes.write(name, 'latin1');
  return fieldNumberOf(nameBytes, 0, length);
}

/** Longer than any name that has a number; of longer names, the begin decides. */
const nameBytes = Buffer.alloc(64);

/** Whether the fields are those of a response before the response. */
export function isInformational(fields: readonly HeaderField[]): boolean {
  return fields.some(({ number, value }) => number === Pseudo.STATUS && value.startsWith('1'));
}

/** Whether no message may have the field, because it belongs to a connection of HTTP/1 (RFC 9113 section 8.2.2). */
export function isConnectionSpecific({ number, value }: HeaderField): boolean {
  switch (number) {
    case Field.CONNECTION:
    case Field.HOP:
    case Field.TRANSFER_ENCODING:
    case Field.UPGRADE:
      return true;
    case Field.TE:
      return value.toLowerCase() !== 'trailers';
    default:
      return false;
  }
}

function problemOf(name: string, value: string): string {
  const start = name.charCodeAt(0) === COLON_CODE ? 1 : 0;
  if (name.length === start) return 'empty field name';
  for (let at = start; at < name.length; at++) {
    const code = name.charCodeAt(at);
    if (((classOf[code] as number) & TOKEN) === 0) return 'byte in field name';
    if (code >= 65 && code <= 90) return 'upper case in field name';
  }
  const { length } = value;
  for (let at = 0; at < length; at++) {
    if (((classOf[value.charCodeAt(at)] as number) & VALUE) === 0) return 'control byte in field value';
  }
  if (length > 0 && (isBlank(value.charCodeAt(0)) || isBlank(value.charCodeAt(length - 1)))) {
    return 'blank around field value';
  }
  return '';
}

function isBlank(code: number): boolean {
  return code === SP || code === HTAB;
}
