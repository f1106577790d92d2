import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ContextMaterial } from './server-context.ts';

/** A certificate as it lies in a directory. */
export interface FoundCertificate {
  readonly material: ContextMaterial;
  /** Changes when one of its files does. */
  readonly stamp: string;
  /** Its files, for messages. */
  readonly files: string;
}

/** Larger files are not read. */
const fileBytesMax = 256 * 1024;

/**
 * Certificates in files that are named after their host: `<name>.pem` with certificate and key in one,
 * `<name>.crt` with `<name>.key`, or `<name>/fullchain.pem` with `<name>/privkey.pem`, as ACME clients leave them.
 * `*.domain` may be written `_.domain`, and `*`, for any other name, `_` or `default`.
 */
export class CertificateDirectory {
  private readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** The certificate of a pattern, null where there is none. @throws Error of the file system. */
  async read(pattern: string): Promise<FoundCertificate | null> {
    for (const files of this.candidates(pattern)) {
      const stamp = await stampOf(files);
      if (stamp === null) continue;
      const texts = await Promise.all(files.map((file) => readFile(file, 'latin1')));
      const certificate = texts[0] as string;
      return { material: { certificate, key: texts[1] ?? certificate }, stamp, files: files.join(', ') };
    }
    return null;
  }

  /** The stamp of what `read` would give; null where it would give nothing. */
  async stamp(pattern: string): Promise<string | null> {
    for (const files of this.candidates(pattern)) {
      const stamp = await stampOf(files);
      if (stamp !== null) return stamp;
    }
    return null;
  }

  private candidates(pattern: string): string[][] {
    const names = pattern.startsWith('*') ? [pattern, `_${pattern.slice(1)}`] : [pattern];
    if (pattern === '*') names.push('default');
    return names.flatMap((name) => {
      const base = join(this.path, name);
      return [
        [`${base}.pem`],
        [`${base}.crt`, `${base}.key`],
        [join(base, 'fullchain.pem'), join(base, 'privkey.pem')],
      ];
    });
  }
}

/** Null where one of the files is not there. */
async function stampOf(files: readonly string[]): Promise<string | null> {
  const parts: string[] = [];
  for (const file of files) {
    try {
      const stats = await stat(file);
      if (!stats.isFile()) return null;
      if (stats.size > fileBytesMax) throw new Error(`${file} is larger than ${fileBytesMax} bytes`);
      parts.push(`${file} ${stats.ino} ${stats.size} ${stats.mtimeMs}`);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' || code === 'ENOTDIR') return null;
      throw error;
    }
  }
  return parts.join(';');
}
