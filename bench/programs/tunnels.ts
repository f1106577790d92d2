// Opens WebSockets. With `echo` each sends a message when it has the last one back, for some seconds; with `hold` they
// stay as they are until SIGTERM, and SIGUSR2 sends a burst of messages through each, all at once.
//   node tunnels.ts SETTINGS      (JSON; results go to stdout as JSON, one a line)
import type { Socket } from 'node:net';
import { openTunnel } from '../load/tunnel.ts';

export interface TunnelsSettings {
  readonly port: number;
  readonly host: string;
  readonly connections: number;
  readonly mode: 'echo' | 'hold';
  /** Of each message. Up to 65,535. */
  readonly bytes: number;
  /** Messages through each tunnel, of `hold`. */
  readonly burst: number;
  /** Of `echo`. */
  readonly seconds: number;
}

/** A line of the output. */
export interface TunnelsReport {
  readonly event: 'open' | 'burst' | 'done';
  readonly tunnels: number;
  /** Messages that came back since the last report. */
  readonly messages: number;
  /** Tunnels that were closed by the other side so far. */
  readonly closed: number;
  readonly seconds: number;
}

/** Opened at once. */
const batch = 50;
/** A burst that is not back after this long is reported as it is, in ms. */
const burstMsMax = 60_000;

const settings: TunnelsSettings = JSON.parse(process.argv[2] ?? '{}');
const frame = frameOf(settings.bytes);
/** What comes back of a message: the same without the mask. */
const responseBytes = frame.length - 4;
const sockets: Socket[] = [];
let messages = 0;
let closed = 0;
let running = false;
/** Of the burst that is under way. */
let receivedBytes = 0;
let wantedBytes = 0;
let onWanted: () => void = () => {};

for (let i = 0; i < settings.connections; i += batch) {
  sockets.push(...(await Promise.all(Array.from({ length: Math.min(batch, settings.connections - i) }, open))));
}
report('open', 0);
if (settings.mode === 'echo') await echo();
else {
  process.on('SIGUSR2', () => void burst());
  process.on('SIGTERM', () => end());
}

async function echo(): Promise<void> {
  const startMs = performance.now();
  running = true;
  for (const socket of sockets) socket.write(frame);
  await new Promise((resolve) => setTimeout(resolve, settings.seconds * 1000));
  running = false;
  report('done', (performance.now() - startMs) / 1000);
  process.exit(0);
}

async function burst(): Promise<void> {
  const startMs = performance.now();
  // One piece of memory for all: what the kernel does not take at once only refers to it.
  const frames = Buffer.concat(Array.from({ length: settings.burst }, () => frame));
  receivedBytes = 0;
  wantedBytes = (sockets.length - closed) * settings.burst * responseBytes;
  const all = new Promise<void>((resolve) => {
    onWanted = resolve;
    setTimeout(resolve, burstMsMax).unref();
  });
  for (const socket of sockets) if (!socket.destroyed) socket.write(frames);
  await all;
  messages = Math.floor(receivedBytes / responseBytes);
  report('burst', (performance.now() - startMs) / 1000);
}

/** A binary message of a client, masked with zeros (RFC 6455 section 5.2). */
function frameOf(bytes: number): Buffer {
  const length = bytes < 126 ? [0x80 | bytes] : [0x80 | 126, bytes >> 8, bytes & 0xff];
  return Buffer.concat([Buffer.from([0x82, ...length, 0, 0, 0, 0]), Buffer.alloc(bytes, 97)]);
}

function end(): void {
  report('done', 0);
  process.exit(0);
}

function report(event: TunnelsReport['event'], seconds: number): void {
  const line: TunnelsReport = { event, tunnels: sockets.length, messages, closed, seconds };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

async function open(): Promise<Socket> {
  const socket = await openTunnel(settings.port, settings.host);
  socket.on('data', (read: Buffer) => {
    if (settings.mode === 'echo') {
      messages++;
      if (running) socket.write(frame);
      return;
    }
    receivedBytes += read.length;
    if (receivedBytes === wantedBytes) onWanted();
  });
  socket.once('close', () => closed++);
  return socket;
}
