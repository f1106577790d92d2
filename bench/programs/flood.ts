// Sends requests at a fixed rate, in small bursts, and reads what comes, until SIGTERM.
//   node flood.ts SETTINGS      (JSON)
import { connect, type Socket } from 'node:net';

export interface FloodSettings {
  readonly port: number;
  readonly host: string;
  readonly ratePerSecond: number;
  readonly connections: number;
}

const everyMs = 5;
const settings: FloodSettings = JSON.parse(process.argv[2] ?? '{}');
const request = `GET / HTTP/1.1\r\nHost: ${settings.host}\r\n\r\n`;
const sockets = Array.from({ length: settings.connections }, open);
let sent = 0;
let next = 0;
const startMs = performance.now();

setInterval(() => {
  const due = ((performance.now() - startMs) / 1000) * settings.ratePerSecond;
  for (; sent < due; sent++) sockets[next++ % sockets.length]?.write(request, 'latin1');
}, everyMs);

process.once('SIGTERM', () => process.exit(0));

function open(): Socket {
  const socket = connect({ port: settings.port, host: '127.0.0.1', noDelay: true });
  socket.on('data', () => {});
  socket.on('error', (error) => {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  });
  return socket;
}
