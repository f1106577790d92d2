import { createHash } from 'node:crypto';

/** Longest name that is written out, in bytes: memcached allows keys of 250. */
const nameBytesMax = 200;

/** The name of a note about a pattern, which may be long. @param kind such as `wake`. */
export function noteName(kind: string, pattern: string): string {
  const name = `${kind}:${pattern}`;
  if (Buffer.byteLength(name) <= nameBytesMax) return name;
  return `${kind}:#${createHash('sha256').update(pattern).digest('hex')}`;
}
