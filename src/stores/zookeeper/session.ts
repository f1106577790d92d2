import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { BackOff } from '../../base/back-off.ts';
import { HipacheError } from '../../base/errors.ts';
import type { HostAndPort } from '../driver-url.ts';
import type { ZooKeeperEnsemble } from './endpoints.ts';
import { JuteReader, type JuteWriter } from './jute.ts';
import { connectRequest, opCode, request, xids, zooKeeperErrors } from './protocol.ts';

/** The time-outs and pauses of a session, in ms. */
export interface ZooKeeperTimings {
  /** For one attempt, until the session is open. */
  readonly connectTimeoutMs: number;
  /** Asked of the servers: an instance whose session has been silent for so long is forgotten. */
  readonly sessionTimeoutMs: number;
  readonly pingEveryMs: number;
  /** A connection without a reply for this long counts as lost. */
  readonly replyTimeoutMs: number;
  readonly retryFirstMs: number;
  readonly retryMaxMs: number;
  /** How long servers that hang up on a new session count as behind the last one; longer, and the ensemble was restored. */
  readonly forgetAfterMs: number;
}

export const defaultZooKeeperTimings: ZooKeeperTimings = {
  connectTimeoutMs: 3000,
  sessionTimeoutMs: 30_000,
  pingEveryMs: 1000,
  replyTimeoutMs: 3000,
  retryFirstMs: 100,
  retryMaxMs: 5000,
  forgetAfterMs: 15_000,
};

export interface ZooKeeperEvents {
  /** The session accepts requests. Nothing is watched yet. */
  ready(): void;
  /** The session was ready and has broken, with its watches. */
  lost(error: HipacheError): void;
  /** An attempt to open a session failed; the next one follows after a pause. */
  failed(error: HipacheError): void;
  /** A node that was watched has changed, and is watched no more. */
  changed(path: string): void;
}

/** A reply: its error number, 0 for success, and its body. */
export interface ZooKeeperReply {
  readonly error: number;
  readonly body: JuteReader;
}

interface Waiting {
  readonly xid: number;
  readonly bytes: number;
  resolve(reply: ZooKeeperReply): void;
  reject(error: HipacheError): void;
}

const retrySpread = [0.5, 1] as const;
/** Requests that wait for their reply. A further one fails at once. */
const requestsMax = 50_000;
/** Largest packet that a server accepts by default (`jute.maxbuffer`), in bytes. */
const packetBytesMax = 0xfffff;
/** Largest reply that is read, in bytes: the names of millions of nodes. */
const replyBytesMax = 512 * 1024 * 1024;

/**
 * One session at one server of an ensemble. A session that breaks is given up with its watches, and the next server gets
 * a new one: to take a session over, all its watches would have to be sent again, in packets that a server refuses once
 * they are many.
 *
 * The npm package node-zookeeper-client does that in one packet, and takes the version 0 of a node for any version, so
 * that its writes can undo those of others.
 */
export class ZooKeeperSession {
  private readonly ensemble: ZooKeeperEnsemble;
  private readonly timings: ZooKeeperTimings;
  private readonly events: ZooKeeperEvents;
  private readonly pauses: BackOff;
  private next = Math.floor(Math.random() * 1024);
  /** The last transaction that was seen: a server that has not come so far hangs up, instead of showing the past. */
  private zxid = 0n;
  /** When a server hung up first since the last session; null if none has. */
  private hungUpMs: number | null = null;
  private xid = 1;
  private socket: Socket | null = null;
  private isOpen = false;
  private received: Buffer[] = [];
  private receivedBytes = 0;
  private waiting: Waiting[] = [];
  private lastError: HipacheError;
  private retry: NodeJS.Timeout | null = null;
  private pings: NodeJS.Timeout | null = null;
  private heardMs = 0;
  private closed = false;
  private readonly attempts: (() => void)[] = [];

  /** Starts to connect at once. */
  constructor(ensemble: ZooKeeperEnsemble, timings: ZooKeeperTimings, events: ZooKeeperEvents) {
    this.ensemble = ensemble;
    this.timings = timings;
    this.events = events;
    const { retryFirstMs: firstMs, retryMaxMs: longestMs } = timings;
    this.pauses = new BackOff({ firstMs, longestMs, spread: retrySpread });
    this.lastError = this.unavailable('is not connected yet');
    this.connect(1);
  }

  get ready(): boolean {
    return this.isOpen;
  }

  /** Why it is not ready. */
  get error(): HipacheError {
    return this.lastError;
  }

  /** Resolves once it is ready, or an attempt at every server has failed. */
  async attempted(): Promise<void> {
    if (this.isOpen || this.closed || this.retry !== null) return;
    await new Promise<void>((resolve) => this.attempts.push(resolve));
  }

  /**
   * Sends a request.
   * @param write appends the body.
   * @throws HipacheError if there is no session, or if it breaks.
   */
  async send(type: number, write: (writer: JuteWriter) => void): Promise<ZooKeeperReply> {
    const { socket } = this;
    if (!this.isOpen || socket === null) throw this.lastError;
    if (this.waiting.length >= requestsMax) throw this.unavailable('too many requests wait for its replies');
    const xid = this.xid;
    this.xid = (this.xid + 1) & 0x7fffffff;
    const writer = request(xid, type);
    write(writer);
    const packet = writer.packet();
    return new Promise((resolve, reject) => {
      this.waiting.push({ xid, bytes: packet.length, resolve, reject });
      socket.write(packet);
    });
  }

  /** Gives the session up, so that nothing is watched any more; a new one follows. */
  restart(problem: string): void {
    if (this.socket !== null) this.broken(this.socket, this.unavailable(problem));
  }

  /** Ends the session. Pending requests fail. Idempotent. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    if (this.retry !== null) clearTimeout(this.retry);
    const { socket } = this;
    if (socket !== null && this.isOpen) socket.write(request(this.xid, opCode.closeSession).packet());
    this.end(this.unavailable('the store was closed'));
    socket?.end();
    this.notifyAttempted();
  }

  /** @param attempt from 1, of one round over all servers. */
  private connect(attempt: number): void {
    this.retry = null;
    const { servers, tls } = this.ensemble;
    const { host, port } = servers[this.next % servers.length] as HostAndPort;
    this.next++;
    const socket = tls
      ? connectTls({ host, port, servername: isIP(host) === 0 ? host : '' })
      : connectTcp({ host, port, noDelay: true });
    this.socket = socket;
    this.received = [];
    this.receivedBytes = 0;
    socket.setNoDelay(true);
    const timer = setTimeout(() => fail(this.unavailable('does not accept a session')), this.timings.connectTimeoutMs);
    const fail = (error: HipacheError): void => {
      clearTimeout(timer);
      if (socket !== this.socket) return;
      if (this.isOpen) this.broken(socket, error);
      else this.attemptFailed(socket, error, attempt);
    };
    socket.once(tls ? 'secureConnect' : 'connect', () => this.sayHello(socket));
    socket.on('data', (bytes: Buffer) => {
      if (socket !== this.socket) return;
      try {
        this.onBytes(socket, bytes, () => clearTimeout(timer));
      } catch (error) {
        fail(error instanceof HipacheError ? error : this.unavailable('sends what is not ZooKeeper', error));
      }
    });
    socket.on('error', (error: NodeJS.ErrnoException) => fail(this.unavailable(problemOf(error), error)));
    socket.on('close', () => {
      if (socket === this.socket && !this.isOpen) this.onHungUp();
      fail(this.unavailable('closed the connection'));
    });
  }

  private sayHello(socket: Socket): void {
    socket.write(connectRequest(this.zxid, this.timings.sessionTimeoutMs));
    const { account } = this.ensemble;
    if (account === null) return;
    socket.write(request(xids.auth, opCode.auth).int(0).text('digest').text(account).packet());
  }

  /** All servers of an ensemble that was restored from a backup, or set up anew, stay behind what was seen. */
  private onHungUp(): void {
    const nowMs = performance.now();
    this.hungUpMs ??= nowMs;
    if (nowMs - this.hungUpMs >= this.timings.forgetAfterMs) this.zxid = 0n;
  }

  private attemptFailed(socket: Socket, error: HipacheError, attempt: number): void {
    this.socket = null;
    this.lastError = error;
    socket.destroy();
    if (this.closed) return;
    if (attempt < this.ensemble.servers.length) {
      this.connect(attempt + 1);
      return;
    }
    this.events.failed(error);
    this.retryLater();
    this.notifyAttempted();
  }

  private retryLater(): void {
    this.retry = setTimeout(() => this.connect(1), this.pauses.next());
  }

  private onBytes(socket: Socket, bytes: Buffer, onOpen: () => void): void {
    this.heardMs = performance.now();
    this.received.push(bytes);
    this.receivedBytes += bytes.length;
    let all = this.joined(4);
    while (all !== null && socket === this.socket) {
      const length = all.readInt32BE(0);
      if (length < 0 || length > replyBytesMax) throw this.unavailable(`sends a packet of ${length} bytes`);
      const whole = this.joined(length + 4);
      if (whole === null) return;
      const rest = whole.subarray(length + 4);
      this.received = rest.length === 0 ? [] : [rest];
      this.receivedBytes = rest.length;
      const packet = new JuteReader(whole.subarray(4, length + 4));
      if (this.isOpen) this.onPacket(packet);
      else this.onWelcome(packet, onOpen);
      all = this.joined(4);
    }
  }

  /** All received bytes as one buffer, if they are so many: a large reply is joined once. */
  private joined(bytes: number): Buffer | null {
    if (this.receivedBytes < bytes) return null;
    if (this.received.length > 1) this.received = [Buffer.concat(this.received, this.receivedBytes)];
    return this.received[0] ?? null;
  }

  private onWelcome(packet: JuteReader, onOpen: () => void): void {
    packet.int();
    const timeoutMs = packet.int();
    if (timeoutMs <= 0) throw this.unavailable('refuses a session');
    onOpen();
    this.isOpen = true;
    this.hungUpMs = null;
    this.pauses.reset();
    this.heardMs = performance.now();
    const everyMs = Math.min(this.timings.pingEveryMs, timeoutMs / 3);
    this.pings = setInterval(() => this.ping(), everyMs);
    this.events.ready();
    this.notifyAttempted();
  }

  private ping(): void {
    const { socket } = this;
    if (socket === null) return;
    if (performance.now() - this.heardMs > this.timings.replyTimeoutMs) {
      this.broken(socket, this.unavailable(`has not replied for ${this.timings.replyTimeoutMs} ms`));
    } else socket.write(request(xids.ping, opCode.ping).packet());
  }

  private onPacket(packet: JuteReader): void {
    const xid = packet.int();
    const zxid = packet.long();
    const error = packet.int();
    if (zxid > this.zxid) this.zxid = zxid;
    if (xid === xids.ping) return;
    if (xid === xids.auth) {
      if (error !== 0) throw this.denied('refuses the user or the password; see the driver URL');
      return;
    }
    if (xid === xids.notification) {
      packet.int();
      packet.int();
      this.events.changed(packet.text());
      return;
    }
    const waiting = this.waiting.shift();
    if (waiting?.xid !== xid) throw this.unavailable('sent a reply that nobody asked for');
    waiting.resolve({ error, body: packet });
  }

  private broken(socket: Socket, error: HipacheError): void {
    if (socket !== this.socket || this.closed) return;
    this.end(error);
    socket.destroy();
    this.events.lost(error);
    this.retryLater();
  }

  private end(error: HipacheError): void {
    const { waiting } = this;
    this.socket = null;
    this.isOpen = false;
    this.lastError = error;
    this.waiting = [];
    if (this.pings !== null) clearInterval(this.pings);
    this.pings = null;
    for (const { bytes, reject } of waiting) reject(bytes > packetBytesMax ? this.tooLarge() : error);
  }

  /** A server closes the connection that a packet is too large for, without a word. */
  private tooLarge(): HipacheError {
    const problem = 'has closed the connection: the change may be larger than its jute.maxbuffer, by default 1 MB';
    return new HipacheError('STORE_FULL', `${this.ensemble.name}: ${problem}`);
  }

  private notifyAttempted(): void {
    for (const resolve of this.attempts.splice(0)) resolve();
  }

  /** The error for operators that stands for a number. */
  errorOf(error: number, path: string): HipacheError {
    switch (error) {
      case zooKeeperErrors.noAuth:
        return this.denied(
          `lacks the right for ${path}; put the user and the password of its nodes into the driver URL`,
        );
      case zooKeeperErrors.authFailed:
        return this.denied('refuses the user or the password; see the driver URL');
      default:
        return this.unavailable(`error ${error} for ${path}`);
    }
  }

  private denied(problem: string): HipacheError {
    return new HipacheError('STORE_DENIED', `${this.ensemble.name}: ${problem}`);
  }

  private unavailable(problem: string, cause?: unknown): HipacheError {
    return new HipacheError('STORE_UNAVAILABLE', `${this.ensemble.name}: ${problem}`, { cause });
  }
}

function problemOf(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'ECONNREFUSED':
      return 'refuses the connection: no server runs there';
    case 'ENOTFOUND':
      return 'its name is unknown';
    default:
      return error.message;
  }
}
