import { dirname, resolve } from 'node:path';
import { readRegularFile } from '../../base/regular-file.ts';
import type { StoredCertificate } from '../contract.ts';
import type { FileCertificate } from './content.ts';
import { unreadable } from './errors.ts';
import { stampOf } from './reading.ts';

const fileBytesMax = 256 * 1024;

/** The PEM files that a routes file names, relative to itself; those that were read are watched. */
export class CertificateFiles {
  private readonly directory: string;
  /** The state of the files of each pattern when they were last read. */
  private readonly stamps = new Map<string, string>();

  constructor(path: string) {
    this.directory = dirname(path);
  }

  async read(pattern: string, named: FileCertificate | undefined): Promise<StoredCertificate | null> {
    if (named === undefined) {
      this.stamps.delete(pattern);
      return null;
    }
    // Before the reading: a change in the meantime is found later.
    this.stamps.set(pattern, await this.stampOf(named));
    if (named.problem !== null) return { certificate: '', key: '', problem: named.problem };
    try {
      const certificate = await this.text(named.certificate);
      return { certificate, key: await this.text(named.key) };
    } catch (error) {
      return { certificate: '', key: '', problem: (error as Error).message };
    }
  }

  /** The patterns of `certificates` whose files are others than those that were last read. */
  async changed(certificates: ReadonlyMap<string, FileCertificate>): Promise<readonly string[]> {
    const changed: string[] = [];
    for (const [pattern, stamp] of this.stamps) {
      const named = certificates.get(pattern);
      if (named === undefined || (await this.stampOf(named)) === stamp) continue;
      // Reported once; the next reading watches it again.
      this.stamps.delete(pattern);
      changed.push(pattern);
    }
    return changed;
  }

  private async text(name: string): Promise<string> {
    const path = resolve(this.directory, name);
    try {
      return (await readRegularFile(path, fileBytesMax)).latin1Slice();
    } catch (error) {
      throw unreadable(path, error);
    }
  }

  private async stampOf({ certificate, key }: FileCertificate): Promise<string> {
    const stamps = [certificate, key].map((name) =>
      stampOf(resolve(this.directory, name)).then(
        ({ id }) => id,
        () => '',
      ),
    );
    return (await Promise.all(stamps)).join(', ');
  }
}
