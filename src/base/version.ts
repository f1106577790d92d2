import { readFileSync } from 'node:fs';

let read: string | null = null;

/** The version in this package's package.json: two directories up, both in a checkout and in dist/. */
export function packageVersion(): string {
  read ??= readVersion();
  return read;
}

function readVersion(): string {
  const parsed: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  if (typeof parsed === 'object' && parsed !== null && 'version' in parsed && typeof parsed.version === 'string') {
    return parsed.version;
  }
  throw new Error('package.json has no version');
}
