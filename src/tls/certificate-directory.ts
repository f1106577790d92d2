import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { readRegularFile } from '../base/regular-file.ts';
import type { CertificateSource, FoundCertificate } from './certificate-source.ts';

/** Larger files are not read. */
const fileBytesMax = 256 * 1024;

/**
 * Certificates in files named after their host: `<name>.pem` with certificate and key, `<name>.crt` with `<name>.key`,
 * or `<name>/fullchain.pem` with `<name>/privkey.pem`, as ACME clients write them. `*.domain` can also be spelled
 * `_.domain`; `*`, for all other names, can be `_` or `default`.
 */
export class CertificateDirectory implements CertificateSource {
  readonly isWatched = false;
  private readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  async find(
    patterns: readonly string[],
    stampOf: (pattern: string) => string | null,
  ): Promise<readonly (FoundCertificate | null)[]> {
    const found: (FoundCertificate | null)[] = [];
    for (const pattern of patterns) found.push(await this.findOne(pattern, stampOf(pattern)));
    return found;
  }

  private async findOne(pattern: string, known: string | null): Promise<FoundCertificate | null> {
    for (const files of this.candidates(pattern)) {
      const stamp = await stampOfFiles(files);
      if (stamp === null) continue;
      if (stamp === known) return { kind: 'same' };
      const texts = await Promise.all(
        files.map((file) => readRegularFile(file, fileBytesMax).then((bytes) => bytes.latin1Slice())),
      );
      const certificate = texts[0] as string;
      const material = { certificate, key: texts[1] ?? certificate };
      return { kind: 'certificate', material, stamp, where: files.join(', ') };
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

/** Null if one of the files does not exist. */
async function stampOfFiles(files: readonly string[]): Promise<string | null> {
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
