import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { lookup } from 'node:dns';
import { Socket } from 'node:net';
import type { SyslogTransport } from './syslog-sink.ts';

type Events = Parameters<SyslogTransport['open']>[0];

/** The kernel probes a silent server after this time, in ms. */
const keepAliveMs = 60_000;

/** A connection, over TCP or to a Unix socket. Messages are framed by counting their octets (RFC 6587 section 3.4.1). */
export class SyslogStream implements SyslogTransport {
  private readonly to: { readonly host: string; readonly port: number } | { readonly path: string };
  private socket: Socket | null = null;

  constructor(to: { readonly host: string; readonly port: number } | { readonly path: string }) {
    this.to = to;
  }

  open(events: Events): void {
    const socket = new Socket();
    this.socket = socket;
    let reason = 'it has closed the connection';
    socket.once('connect', () => {
      socket.setNoDelay(true);
      socket.setKeepAlive(true, keepAliveMs);
      // Servers of syslog send nothing; without reading, their end of the connection would not be noticed.
      socket.resume();
      events.onOpen();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      reason = error.code === 'EPROTOTYPE' ? datagramHint : error.message;
    });
    socket.once('close', () => {
      if (this.socket === socket) events.onClosed(reason);
    });
    socket.connect(this.to);
  }

  send(messages: readonly string[], onSent: (count: number) => void): void {
    const { socket } = this;
    const text = messages.map((message) => `${message.length} ${message}`).join('');
    socket?.write(text, 'latin1', (error) => {
      // After an error, `close` follows.
      if ((error ?? null) === null && this.socket === socket) onSent(messages.length);
    });
  }

  close(): void {
    const { socket } = this;
    this.socket = null;
    // The kernel still sends what it has accepted.
    socket?.destroy();
  }
}

const datagramHint =
  'it is a socket for datagrams, which Node cannot send to; let the server listen on a stream socket, or on UDP (syslog://127.0.0.1)';

/** Datagrams over UDP, one for each message (RFC 5426). */
export class SyslogDatagrams implements SyslogTransport {
  private readonly host: string;
  private readonly port: number;
  /** Counts the calls of `open`: a lookup may end after a later one. */
  private opened = 0;
  private socket: DatagramSocket | null = null;

  constructor(host: string, port: number) {
    this.host = host;
    this.port = port;
  }

  open(events: Events): void {
    const turn = ++this.opened;
    lookup(this.host, (error, address, family) => {
      if (turn !== this.opened) return;
      if (error === null) this.connect(address, family === 6 ? 'udp6' : 'udp4', events);
      else events.onClosed(error.message);
    });
  }

  send(messages: readonly string[], onSent: (count: number) => void): void {
    const { socket } = this;
    if (socket === null) return;
    let left = messages.length;
    for (const message of messages) {
      socket.send(Buffer.from(message, 'latin1'), (error) => {
        // A refusal is about an earlier datagram; nothing says which.
        if (error !== null && this.socket === socket) socket.emit('error', error);
        if (--left === 0 && this.socket === socket) onSent(messages.length);
      });
    }
  }

  close(): void {
    const { socket } = this;
    this.opened++;
    this.socket = null;
    socket?.close();
  }

  private connect(address: string, type: 'udp4' | 'udp6', events: Events): void {
    const socket = createSocket(type);
    this.socket = socket;
    // A server that does not listen is known by what comes back for the datagrams before.
    socket.on('error', ({ message }) => {
      if (this.socket === socket) events.onClosed(message);
    });
    socket.connect(this.port, address, () => {
      if (this.socket === socket) events.onOpen();
    });
  }
}
