// Fills the certificates of a worker (`ServerCertificates` of a checkout), and measures what they take: the resident memory
// of this process after a garbage collection.
//   node certificate-cache.ts SETTINGS      (JSON; the result goes to stdout as JSON)
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { ServerCertificates } from '../../src/tls/server-certificates.ts';
import { HostAuthority, type HostCertificate } from '../host-certificates.ts';
import { shopName } from '../routes.ts';
import { memory } from '../usage.ts';

export interface CertificateCacheSettings {
  /** Of the checkout. */
  readonly root: string;
  readonly count: number;
  readonly bytesMax: number;
}

export interface CertificateCacheReport {
  /** Certificates kept, and those ready for a handshake. */
  readonly kept: number;
  readonly ready: number;
  /** Beyond the process without them: measured, and by the estimate. */
  readonly bytes: number;
  readonly estimatedBytes: number;
}

const { root, count, bytesMax }: CertificateCacheSettings = JSON.parse(process.argv[2] ?? '{}');
const module = await import(pathToFileURL(join(root, 'src/tls/server-certificates.ts')).href);
setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');
const authority = new HostAuthority();

const issued = Array.from({ length: count }, (_, i) => authority.issue(shopName(i)));

// What the code itself takes, it has by then.
await fill(20);
const before = await residentBytes();
const certificates = await fill(count);
const bytes = (await residentBytes()) - before;
const { size: kept, contextCount: ready = kept, bytes: estimatedBytes = 0 } = certificates;
const report: CertificateCacheReport = { kept, ready, bytes, estimatedBytes };
process.stdout.write(JSON.stringify(report));

async function fill(names: number): Promise<ServerCertificates> {
  let next = 0;
  const source = {
    isWatched: true,
    find: async ([_, ...more]: readonly string[]) => {
      const { certificate, key } = issued[next++] as HostCertificate;
      // Texts of its own, as a store returns them.
      const material = { certificate: copyOf(certificate), key: copyOf(key) };
      return [{ kind: 'certificate', material, stamp: '', where: 'here' }, ...more.map(() => null)];
    },
  };
  const filled: ServerCertificates = new module.ServerCertificates({
    sources: [source],
    bytesMax,
    // Names do not come faster than they may.
    clock: { epochMs: Date.now, monotonicMs: () => 10 * next },
    setTimer: () => () => {},
    onProblem: (message: string) => process.stderr.write(`${message}\n`),
    // Of former revisions.
    ...{ entriesMax: names, ticketKeys: Buffer.alloc(48) },
  });
  filled.restored();
  for (let i = 0; i < names; i++) {
    await filled.load(shopName(i));
    // As between handshakes: what was dropped is freed.
    await turn();
  }
  for (let i = 0; i < names; i++) {
    filled.cached(shopName(i));
    await turn();
  }
  return filled;
}

function copyOf(text: string): string {
  return Buffer.from(text, 'latin1').latin1Slice();
}

async function residentBytes(): Promise<number> {
  for (let i = 0; i < 4; i++) {
    collect();
    await turn();
  }
  return memory(process.pid).residentBytes;
}
