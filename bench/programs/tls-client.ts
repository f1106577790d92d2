// One TLS 1.3 handshake after the other on each of some connections, with one small request each: whole handshakes, or
// ones that resume a session.
//   node tls-client.ts SETTINGS      (JSON; the result goes to stdout as JSON)
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:tls';
import { percentile } from '../statistics.ts';

export interface TlsClientSettings {
  readonly port: number;
  /** One, or several of which each handshake takes one at random. */
  readonly hosts: readonly string[];
  readonly path: string;
  /** Handshakes under way at once. */
  readonly connections: number;
  readonly resume: boolean;
  /** Where sessions are kept from one run to the next, which then has no whole handshakes. Default: nowhere. */
  readonly sessionsFile?: string;
  readonly seconds: number;
}

const settings: TlsClientSettings = JSON.parse(process.argv[2] ?? '{}');
const { hosts, path, port, resume } = settings;
const timesMs: number[] = [];
let failed = 0;
/** By host. */
const sessions = new Map<string, Buffer>();
if (resume) await getSessions();
const startMs = performance.now();
const endMs = startMs + settings.seconds * 1000;
await Promise.all(Array.from({ length: settings.connections }, repeat));
const seconds = (performance.now() - startMs) / 1000;
const [p50Us, p99Us, p999Us] = [50, 99, 99.9].map((percent) => percentile(timesMs, percent) * 1000);
process.stdout.write(JSON.stringify({ requests: timesMs.length, seconds, failed, p50Us, p99Us, p999Us }));

async function getSessions(): Promise<void> {
  const { sessionsFile } = settings;
  if (sessionsFile !== undefined && existsSync(sessionsFile)) {
    const known: [string, string][] = JSON.parse(readFileSync(sessionsFile, 'utf8'));
    for (const [host, ticket] of known) sessions.set(host, Buffer.from(ticket, 'base64'));
    return;
  }
  for (const host of hosts) await exchange(host);
  if (sessionsFile === undefined) return;
  const known = [...sessions].map(([host, ticket]) => [host, ticket.toString('base64')]);
  writeFileSync(sessionsFile, JSON.stringify(known));
}

async function repeat(): Promise<void> {
  while (performance.now() < endMs) {
    const beginMs = performance.now();
    // What does not do what is measured counts as failed: a whole handshake in place of a resumed one too.
    if (!(await exchange(hosts[Math.floor(Math.random() * hosts.length)] ?? ''))) failed++;
    timesMs.push(performance.now() - beginMs);
  }
}

/** @returns whether it was answered, by a handshake of the wanted kind. */
function exchange(host: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const session = sessions.get(host);
  const first = resume && session === undefined;
  const socket = connect({
    port,
    host: '127.0.0.1',
    servername: host,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.3',
    // The same work for all: Debian's OpenSSL, of the other proxies, does not know X25519MLKEM768, which Node would choose.
    ecdhCurve: 'X25519',
    ...(session === undefined ? {} : { session }),
  });
  let text = '';
  socket.once('secureConnect', () =>
    socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`),
  );
  if (first) {
    socket.on('session', (ticket: Buffer) => sessions.set(host, ticket));
  }
  socket.on('data', (bytes: Buffer) => {
    text += bytes.toString('latin1');
  });
  socket.once('error', () => resolve(false));
  socket.once('end', () => {
    resolve(text.startsWith('HTTP/1.1 200 ') && socket.isSessionReused() === (resume && !first));
    socket.destroy();
  });
  return promise;
}
