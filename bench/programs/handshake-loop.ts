// Whole TLS 1.3 handshakes at a fixed rate, that fall due at random times; a latency counts from then to the end of the
// handshake. It waits by spinning, as open-loop.ts, so it is to be run at SCHED_IDLE.
//   node handshake-loop.ts SETTINGS      (JSON; the result goes to stdout as JSON)
import { connect } from 'node:tls';
import { median, percentile } from '../statistics.ts';

export interface HandshakeLoopSettings {
  readonly port: number;
  readonly hosts: readonly string[];
  readonly ratePerSecond: number;
  /** Before the latencies count, and while they do. */
  readonly warmUpSeconds: number;
  readonly seconds: number;
}

interface Handshake {
  readonly dueMs: number;
  readonly latencyMs: number;
}

/** Of the slices of time that each have a p99 of their own, in ms. */
const sliceMs = 100;
/** How long the last handshakes are waited for, in ms. */
const lastMs = 5000;
const settings: HandshakeLoopSettings = JSON.parse(process.argv[2] ?? '{}');
const { hosts, port, ratePerSecond } = settings;
const done: Handshake[] = [];
let failed = 0;
let underWay = 0;
const countFromMs = performance.now() + settings.warmUpSeconds * 1000;
const endMs = countFromMs + settings.seconds * 1000;
let nextMs = performance.now();
tick();

function tick(): void {
  const nowMs = performance.now();
  while (nextMs <= nowMs && nextMs < endMs) {
    shake(nextMs);
    nextMs -= (Math.log(1 - Math.random()) * 1000) / ratePerSecond;
  }
  if (nowMs < endMs || (underWay > 0 && nowMs < endMs + lastMs)) setImmediate(tick);
  else finish();
}

function shake(dueMs: number): void {
  underWay++;
  const servername = hosts[Math.floor(Math.random() * hosts.length)] ?? '';
  const socket = connect({
    ...{ port, host: '127.0.0.1', servername, rejectUnauthorized: false, minVersion: 'TLSv1.3', ecdhCurve: 'X25519' },
  });
  socket.once('secureConnect', () => {
    done.push({ dueMs, latencyMs: performance.now() - dueMs });
    if (socket.getPeerCertificate().subject?.CN !== servername) failed++;
    socket.destroy();
  });
  socket.once('error', () => failed++);
  socket.once('close', () => underWay--);
}

function finish(): void {
  failed += underWay;
  const counted = done.filter(({ dueMs }) => dueMs >= countFromMs);
  const slices = Map.groupBy(counted, ({ dueMs }) => Math.floor((dueMs - countFromMs) / sliceMs));
  const p99s = [...slices.values()].map((slice) =>
    percentile(
      slice.map(({ latencyMs }) => latencyMs),
      99,
      true,
    ),
  );
  const latencies = counted.map(({ latencyMs }) => latencyMs);
  const [p50Us, p99Us, p999Us] = [50, 99, 99.9].map((percent) => percentile(latencies, percent) * 1000);
  const times = { p50Us, p99Us, p999Us, slicedP99Us: median(p99s) * 1000 };
  const seconds = settings.warmUpSeconds + settings.seconds;
  process.stdout.write(JSON.stringify({ requests: done.length, seconds, failed, ...times }));
  process.exit();
}
