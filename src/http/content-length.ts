/**
 * Parses a `Content-Length` value: only digits, within the safe integers; -1 for anything else (RFC 9110 section 8.6,
 * without its tolerance for lists).
 */
export function parseContentLength(value: string): number {
  const { length } = value;
  if (length === 0) return -1;
  let number = 0;
  for (let at = 0; at < length; at++) {
    const digit = value.charCodeAt(at) - 48;
    if (digit < 0 || digit > 9) return -1;
    number = number * 10 + digit;
    if (number > Number.MAX_SAFE_INTEGER) return -1;
  }
  return number;
}
