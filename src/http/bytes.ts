/** Classes of bytes, by the grammar of RFC 9110 section 5.6.2 (token), 5.5 (field value) and RFC 9112 section 3.2. */

/** A byte of a token: a method, a field name. */
export const TOKEN = 1;
/** A byte of a field value: HTAB, SP, visible ASCII, obs-text. */
export const VALUE = 2;
/**
 * A byte of a request target: visible ASCII except `#`, and bytes from 0x80, which real clients send unescaped. `#` is
 * refused because servers disagree on whether to use what follows it (CVE-2023-45539).
 */
export const TARGET = 4;
export const HEX = 8;

export const CR = 13;
export const LF = 10;
export const HTAB = 9;
export const SP = 32;
export const COLON = 58;
export const SEMICOLON = 59;

export const classOf: Uint8Array = buildClasses();

/** The value of each hexadecimal digit, by byte; 255 for other bytes. */
export const hexValue: Uint8Array = buildHexValues();

function buildClasses(): Uint8Array {
  const classes = new Uint8Array(256);
  const add = (characters: string, bit: number): void => {
    for (const character of characters) (classes[character.charCodeAt(0)] as number) |= bit;
  };
  const alphanumeric = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
  add(`!#$%&'*+-.^_\`|~${alphanumeric}`, TOKEN);
  add('0123456789abcdefABCDEF', HEX);
  (classes[HTAB] as number) |= VALUE;
  for (let byte = 0x20; byte < 0x100; byte++) if (byte !== 0x7f) (classes[byte] as number) |= VALUE;
  for (let byte = 0x21; byte < 0x100; byte++) if (byte !== 0x7f && byte !== 0x23) (classes[byte] as number) |= TARGET;
  return classes;
}

function buildHexValues(): Uint8Array {
  const values = new Uint8Array(256).fill(255);
  for (let digit = 0; digit < 16; digit++) {
    const text = digit.toString(16);
    values[text.charCodeAt(0)] = digit;
    values[text.toUpperCase().charCodeAt(0)] = digit;
  }
  return values;
}
