// Opens connections of HTTP/2 without TLS, each with one request; SIGUSR2 opens WebSockets on some of them. All stay as they
// are until SIGTERM.
//   node http2-idle.ts SETTINGS      (JSON; results go to stdout as JSON, one a line)
import { connect } from 'node:net';
import { preface } from '../../src/http2/frame.ts';
import { HpackEncoder, Indexing } from '../../src/http2/hpack-encoder.ts';
import { Session } from '../../src/http2/session.ts';

export interface Http2IdleSettings {
  readonly port: number;
  /** The host of the requests, and that of the WebSockets. */
  readonly host: string;
  readonly echoHost: string;
  readonly connections: number;
  /** WebSockets on each of so many of the connections. */
  readonly tunnels: number;
  readonly tunnelConnections: number;
}

/** A line of the output: all connections, or all tunnels, are open. */
export interface Http2IdleReport {
  readonly event: 'connections' | 'tunnels';
}

type Fields = readonly (readonly [name: string, value: string])[];

const batch = 50;
const settings: Http2IdleSettings = JSON.parse(process.argv[2] ?? '{}');
const { connections, echoHost, host, port, tunnelConnections, tunnels } = settings;
const sessions: Session[] = [];

for (let i = 0; i < connections; i += batch) {
  sessions.push(...(await Promise.all(Array.from({ length: Math.min(batch, connections - i) }, open))));
}
report('connections');
process.on('SIGUSR2', () => void openTunnels());
process.on('SIGTERM', () => process.exit(0));

async function open(): Promise<Session> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  const output = {
    append: (text: string) => void socket.write(text, 'latin1'),
    appendFramed: () => {},
  };
  const owner = {
    ...{ onStream() {}, onOutput() {}, onPingAck() {}, onSettings() {} },
    onGoAway: (code: number, debug: string) => fail(`a connection was ended: ${code} ${debug}`),
    onInternalError: (error: Error) => fail(error.message),
  };
  const session = new Session(output, owner, {
    isServer: false,
    limits: { blockBytesMax: 65_536, listBytesMax: 65_536, fieldsMax: 100 },
    ...{ streamsMax: 0, streamWindowBytes: 65_535, connectionWindowBytes: 65_535, takesProtocols: false },
    nowMs: () => performance.now(),
  });
  socket.on('data', (bytes: Buffer) => void session.read(bytes, 0, bytes.length));
  socket.on('error', (error) => fail(error.message));
  output.append(preface);
  session.start();
  await ask(
    session,
    [
      [':method', 'GET'],
      [':scheme', 'http'],
      [':path', '/'],
      [':authority', host],
    ],
    true,
  );
  return session;
}

async function openTunnels(): Promise<void> {
  const handshake: Fields = [
    ...([
      [':method', 'CONNECT'],
      [':protocol', 'websocket'],
      [':scheme', 'http'],
      [':path', '/'],
    ] as const),
    ...([
      [':authority', echoHost],
      ['sec-websocket-version', '13'],
    ] as const),
  ];
  for (let i = 0; i < tunnels; i++) {
    for (let at = 0; at < tunnelConnections; at += batch) {
      const some = sessions.slice(at, Math.min(at + batch, tunnelConnections));
      await Promise.all(some.map((session) => ask(session, handshake, false)));
    }
  }
  report('tunnels');
}

/** @param isWhole whether the request has an end; then the response has one too, and resolves it. */
function ask(session: Session, fields: Fields, isWhole: boolean): Promise<void> {
  const encoder = new HpackEncoder();
  encoder.begin();
  for (const [name, value] of fields) encoder.add(name, value, Indexing.NONE);
  const stream = session.open();
  if (stream === null) throw new Error('no stream');
  const { promise, resolve } = Promise.withResolvers<void>();
  stream.handler = {
    ...{ onData() {}, onFlush() {}, onDrain() {}, onClosed() {} },
    onEnd: resolve,
    onFields: (received) => {
      const status = received.find(({ name }) => name === ':status')?.value;
      if (status !== '200') fail(`status ${status}`);
      if (!isWhole) resolve();
    },
    onReset: (code, detail) => fail(`a stream was reset: ${code} ${detail}`),
  };
  if (isWhole) stream.sendOnlyFields(encoder.end());
  else stream.sendFields(encoder.end());
  return promise;
}

function fail(problem: string): never {
  process.stderr.write(`${problem}\n`);
  process.exit(1);
}

function report(event: Http2IdleReport['event']): void {
  process.stdout.write(`${JSON.stringify({ event })}\n`);
}
