/** Longest URL, in characters. */
const urlCharsMax = 2048;

/** The URL in its normal form; undefined if it is none of http or https, or has credentials, a fragment or blanks. */
export function webUrl(text: string): string | undefined {
  if (text.length > urlCharsMax || !/^https?:\/\/[\x21-\x7e]+$/i.test(text) || text.includes('#')) return undefined;
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  return url.username === '' && url.password === '' ? url.href : undefined;
}
