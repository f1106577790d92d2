// A load at a fixed rate, free of coordinated omission: requests fall due at random times (a Poisson process) that do
// not depend on the responses, and a latency counts from when the request was due, even where it had to wait for a free
// connection. It waits by spinning: timers of a millisecond would send in bursts. So it is to be run at SCHED_IDLE.
// SIGTERM ends it before its time, with what it has measured.
//   node open-loop.ts SETTINGS      (JSON; the result goes to stdout as JSON)
import { connect, type Socket } from 'node:net';
import { median, percentile } from '../statistics.ts';

export interface OpenLoopSettings {
  /** One, or several that have the connections in turn. */
  readonly port: number | readonly number[];
  readonly hosts: readonly string[];
  readonly path: string;
  readonly connections: number;
  readonly ratePerSecond: number;
  /** Before the latencies count, and while they do. */
  readonly warmUpSeconds: number;
  readonly seconds: number;
  readonly seed: number;
}

/** How long the last answers are waited for, in ms. */
const lastResponsesMs = 5000;
/** After a connection that could not be opened, in ms. */
const againMs = 100;
/** Of the slices of time that each have a p99 of their own, in ms. */
const sliceMs = 100;
/** A turn of the loop with nothing to do takes less: what is more was taken by other processes, in ms. */
const idleTurnMsMax = 0.005;

class Connection {
  /** When the request that is under way was due, 0 where none is. */
  dueMs = 0;
  private readonly port: number;
  private text = '';
  private socket: Socket | null = null;

  constructor(port: number) {
    this.port = port;
  }

  open(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const buffer = Buffer.allocUnsafe(16 * 1024);
    const callback = (bytes: number) => {
      this.onRead(buffer.latin1Slice(0, bytes));
      return true;
    };
    const socket = connect({ port: this.port, host: '127.0.0.1', noDelay: true, onread: { buffer, callback } });
    let isOpen = false;
    socket.once('connect', () => {
      isOpen = true;
      resolve();
    });
    socket.once('error', reject);
    socket.once('close', () => {
      if (isOpen && this.socket === socket) this.onClose();
    });
    this.socket = socket;
    return promise;
  }

  send(dueMs: number): void {
    this.dueMs = dueMs;
    this.socket?.write(requests[Math.floor(random() * requests.length)] ?? '', 'latin1');
  }

  destroy(): void {
    const { socket } = this;
    this.socket = null;
    socket?.destroy();
  }

  private onRead(chunk: string): void {
    const text = this.text + chunk;
    const headEnd = text.indexOf('\r\n\r\n');
    if (headEnd < 0 || text.length < headEnd + 4 + bodyLength(text, headEnd)) {
      this.text = text;
      return;
    }
    this.text = '';
    // The server has said that it takes no more on this connection (RFC 9112 section 9.6).
    const isLast = /\r\nconnection: close\r\n/i.test(text.slice(0, headEnd + 2));
    if (isLast) this.destroy();
    finished(this, text.startsWith('HTTP/1.1 200 '), isLast);
  }

  private onClose(): void {
    this.socket = null;
    this.text = '';
    if (stopping) return;
    if (this.dueMs > 0) failed++;
    this.dueMs = 0;
    this.openAgain();
  }

  openAgain(): void {
    this.open().then(
      () => giveNext(this),
      () => {
        // Nobody listens, or the connection was reset at once.
        failed++;
        if (!stopping) setTimeout(() => this.openAgain(), againMs);
      },
    );
  }
}

const settings: OpenLoopSettings = JSON.parse(process.argv[2] ?? '{}');
const random = randomFrom(settings.seed);
const requests = settings.hosts.map((host) => `GET ${settings.path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
const gapMs = 1000 / settings.ratePerSecond;
const requestsMax = Math.ceil(settings.ratePerSecond * (settings.warmUpSeconds + settings.seconds) * 1.3) + 1000;
/** When each answered request was due, and its latency. Those of the warm-up too: the program does the same all along. */
const dueTimes = new Float64Array(requestsMax).fill(0);
const latencies = new Float64Array(requestsMax).fill(0);
/** Due times of requests that no connection was free for. */
const waiting: number[] = [];
let waitingFrom = 0;
let answered = 0;
let failed = 0;
let stopping = false;
/** Whether this turn of the loop had anything to do, when the last one began, and how long turns had nothing. */
let isBusy = false;
let turnMs = 0;
let idleMs = 0;

const ports = [settings.port].flat();
const connections = Array.from(
  { length: settings.connections },
  (_, i) => new Connection(ports[i % ports.length] ?? 0),
);
await Promise.all(connections.map((connection) => connection.open()));
/** First in, first out: every connection is used. */
let free = [...connections];
let freeFrom = 0;

const countFromMs = performance.now() + settings.warmUpSeconds * 1000;
let endMs = countFromMs + settings.seconds * 1000;
process.once('SIGTERM', () => {
  endMs = Math.min(endMs, performance.now());
});
let nextMs = performance.now();
tick();

function tick(): void {
  const nowMs = performance.now();
  if (!isBusy && nowMs >= countFromMs && nowMs < endMs) idleMs += Math.min(nowMs - turnMs, idleTurnMsMax);
  turnMs = nowMs;
  isBusy = false;
  while (nextMs <= nowMs && nextMs < endMs) {
    const connection = takeFree();
    if (connection === null) waiting.push(nextMs);
    else connection.send(nextMs);
    isBusy = true;
    nextMs -= Math.log(1 - random()) * gapMs;
  }
  if (nowMs < endMs || (isUnderWay() && nowMs < endMs + lastResponsesMs)) setImmediate(tick);
  else finish();
}

function finished(connection: Connection, good: boolean, isLast: boolean): void {
  const { dueMs } = connection;
  isBusy = true;
  connection.dueMs = 0;
  if (!good) failed++;
  dueTimes[answered] = dueMs;
  latencies[answered] = performance.now() - dueMs;
  answered++;
  if (isLast) connection.openAgain();
  else giveNext(connection);
}

/** The connection is free: for what waits, or for what comes. */
function giveNext(connection: Connection): void {
  if (waitingFrom < waiting.length) connection.send(waiting[waitingFrom++] ?? 0);
  else free.push(connection);
}

function takeFree(): Connection | null {
  const connection = free[freeFrom];
  if (connection === undefined) return null;
  freeFrom++;
  if (freeFrom > 4096) {
    free = free.slice(freeFrom);
    freeFrom = 0;
  }
  return connection;
}

function isUnderWay(): boolean {
  return waitingFrom < waiting.length || connections.some(({ dueMs }) => dueMs > 0);
}

function finish(): void {
  stopping = true;
  failed += waiting.length - waitingFrom + connections.filter(({ dueMs }) => dueMs > 0).length;
  for (const connection of connections) connection.destroy();
  const counted = latencies.subarray(0, answered).filter((_, i) => (dueTimes[i] ?? 0) >= countFromMs);
  const slicedP99Us = median(slices().map((slice) => percentile(slice, 99, true))) * 1000;
  const [p50Us, p99Us, p999Us] = [50, 99, 99.9].map((percent) => percentile([...counted], percent) * 1000);
  const countedSeconds = (endMs - countFromMs) / 1000;
  const seconds = settings.warmUpSeconds + countedSeconds;
  const loadPercent = Math.max(0, 100 - (idleMs / countedSeconds) * 0.1);
  const times = { p50Us, p99Us, p999Us, slicedP99Us };
  process.stdout.write(JSON.stringify({ requests: answered, seconds, failed, ...times, loadPercent }));
}

/** The latencies that count, by the slice of time in which their requests were due. */
function slices(): number[][] {
  const all = Array.from({ length: Math.ceil((endMs - countFromMs) / sliceMs) }, (): number[] => []);
  for (let i = 0; i < answered; i++) {
    all[Math.floor(((dueTimes[i] ?? 0) - countFromMs) / sliceMs)]?.push(latencies[i] ?? 0);
  }
  return all.filter((slice) => slice.length > 0);
}

function bodyLength(text: string, headEnd: number): number {
  // No other field of the responses ends so; the case of its letters depends on the proxy.
  const lengthAt = text.indexOf('ength: ', 15);
  return lengthAt < 0 || lengthAt > headEnd ? 0 : Number.parseInt(text.slice(lengthAt + 7, lengthAt + 20), 10);
}

/** Mulberry32: numbers from 0 to 1 that are the same for every proxy. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
