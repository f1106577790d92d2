import { readFileSync } from 'node:fs';
import { packageFile } from './package-files.ts';

let read: string | null = null;

/** The version in this package's package.json. */
export function packageVersion(): string {
  read ??= readVersion();
  return read;
}

function readVersion(): string {
  const parsed: unknown = JSON.parse(readFileSync(packageFile('package.json'), 'utf8'));
  if (typeof parsed === 'object' && parsed !== null && 'version' in parsed && typeof parsed.version === 'string') {
    return parsed.version;
  }
  throw new Error('package.json has no version');
}
