import { Field } from './field-names.ts';

/**
 * Fields that must not come from a trailer: those for framing, routing, authentication, conditions, and how to process
 * the content (RFC 9110 section 6.5.1). Framing fields and those that identify the client are recognised by number.
 */
const forbidden = new Set([
  'age',
  'authorization',
  'cache-control',
  'content-encoding',
  'content-range',
  'content-type',
  'cookie',
  'date',
  'expires',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'location',
  'max-forwards',
  'pragma',
  'proxy-authenticate',
  'proxy-authorization',
  'range',
  'set-cookie',
  'vary',
  'warning',
  'www-authenticate',
]);

/** Whether a field may be forwarded as a trailer. @param name in any case. */
export function mayBeTrailer(number: number, name: string): boolean {
  return number === Field.OTHER && !forbidden.has(name.toLowerCase());
}
