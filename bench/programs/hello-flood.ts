// Opens connections at a fixed rate, each with the first message of a TLS 1.3 client and a random server name, and closes
// them once something comes back, until SIGTERM. It makes one message, and changes the name in it: so it costs little.
//   node hello-flood.ts SETTINGS      (JSON)
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';

export interface HelloFloodSettings {
  readonly port: number;
  /** What follows the random part of a name: `.bench.example`. */
  readonly domain: string;
  readonly ratePerSecond: number;
}

const everyMs = 5;
const randomChars = 12;
/** A connection that nothing comes back on is closed after this time. */
const silentMs = 3000;
const { port, domain, ratePerSecond }: HelloFloodSettings = JSON.parse(process.argv[2] ?? '{}');
const hello = await makeHello('x'.repeat(randomChars) + domain);
const nameAt = hello.indexOf('x'.repeat(randomChars) + domain);
/** After the head of the record, that of the message, and the version. */
const randomAt = 5 + 4 + 2;
let sent = 0;
const startMs = performance.now();

setInterval(() => {
  const due = ((performance.now() - startMs) / 1000) * ratePerSecond;
  for (; sent < due; sent++) open();
}, everyMs);

process.once('SIGTERM', () => process.exit(0));

function open(): void {
  const own = Buffer.from(hello);
  randomBytes(32).copy(own, randomAt);
  own.write(randomBytes(randomChars / 2).toString('hex'), nameAt, 'latin1');
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  socket.setTimeout(silentMs, () => socket.resetAndDestroy());
  socket.once('connect', () => socket.write(own));
  socket.once('data', () => socket.resetAndDestroy());
  socket.on('error', () => {});
}

/** The first message of a client for this server name. */
function makeHello(servername: string): Promise<Buffer> {
  const { promise, resolve } = Promise.withResolvers<Buffer>();
  const transport = new Duplex({
    read() {},
    write(bytes: Buffer, _encoding, done) {
      resolve(bytes);
      done();
    },
  });
  connectTls({ socket: transport, servername, minVersion: 'TLSv1.3', ecdhCurve: 'X25519' }).on('error', () => {});
  return promise;
}
