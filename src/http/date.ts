let second = Number.NaN;
let text = '';

/** The value of a `Date` field (RFC 9110 section 5.6.7). The text of a second is made once. */
export function httpDate(epochMs: number): string {
  const now = Math.floor(epochMs / 1000);
  if (now !== second) {
    second = now;
    text = new Date(now * 1000).toUTCString();
  }
  return text;
}
