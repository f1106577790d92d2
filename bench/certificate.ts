import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Processes } from './processes.ts';
import type { Site } from './site.ts';

/** Makes the certificate that every proxy serves. */
export async function makeCertificate(
  processes: Processes,
  directory: string,
  core: number,
): Promise<Site['certificate']> {
  const [key, certificate, both] = ['bench.key', 'bench.crt', 'bench.pem'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ];
  const command = [
    ...['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
    ...['-keyout', key, '-out', certificate, '-days', '30', '-subj', '/CN=bench.example'],
    ...['-addext', 'subjectAltName=DNS:*.bench.example,IP:127.0.0.1'],
  ];
  await processes.run('openssl', command, { core }, 30_000);
  writeFileSync(both, readFileSync(certificate, 'latin1') + readFileSync(key, 'latin1'));
  return { certificate, key, both };
}
