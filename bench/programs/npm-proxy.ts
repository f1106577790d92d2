// The proxy library of npm behind a server as small as it can be with the same work as the others: the route by host,
// forwarded headers, connections kept on both sides, an access log written in batches.
//   node npm-proxy.ts SETTINGS.json
import { randomBytes } from 'node:crypto';
import { createWriteStream, readFileSync } from 'node:fs';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type ServerResponse,
} from 'node:http';
import fastProxy from 'fast-proxy';

interface Settings {
  readonly port: number;
  /** Path of the access log. */
  readonly log: string;
  readonly backendPorts: readonly number[];
  /** The backend of the i-th is number `i % backendPorts.length`. */
  readonly hosts: readonly string[];
}

/** Log lines are written when they are this many, or after a second. */
const linesMax = 256;

const settings: Settings = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8'));
const pools = settings.backendPorts.map((port) =>
  // What an upload is made of is not looked at, so that no time-out for heads and bodies is needed.
  fastProxy({ base: `http://127.0.0.1:${port}`, undici: { connections: 256, keepAliveTimeout: 60_000 } }),
);
const routes = new Map(settings.hosts.map((host, i) => [host, pools[i % pools.length]]));
const log = createWriteStream(settings.log, { flags: 'a' });
let lines: string[] = [];
const options = { rewriteRequestHeaders: forwarded, rewriteHeaders: withoutConnection };

const server = createServer(onRequest);
server.keepAliveTimeout = 3_600_000;
server.requestTimeout = 0;
server.listen({ port: settings.port, host: '127.0.0.1', backlog: 4096 });
setInterval(writeLines, 1000);
process.on('SIGTERM', () => process.exit());

function onRequest(request: IncomingMessage, response: ServerResponse): void {
  const pool = routes.get((request.headers.host ?? '').toLowerCase());
  if (pool === undefined) {
    response.writeHead(404).end();
    return;
  }
  const startMs = Date.now();
  const client = request.socket.remoteAddress ?? '';
  response.once('finish', () => onFinish(request, response, client, startMs));
  pool.proxy(request, response, request.url ?? '/', options);
}

/** What the backend is told. Fields of the connection are not for it. */
function forwarded(request: IncomingMessage, headers: IncomingHttpHeaders): IncomingHttpHeaders {
  delete headers.connection;
  delete headers.expect;
  delete headers['x-forwarded-host'];
  headers.host = request.headers.host;
  headers['x-forwarded-for'] = request.socket.remoteAddress;
  headers['x-real-ip'] = request.socket.remoteAddress;
  headers['x-forwarded-proto'] = 'http';
  headers['x-forwarded-port'] = '80';
  headers['x-request-id'] = randomBytes(16).toString('hex');
  return headers;
}

/** What the client is told. The backend's connection is not the client's. */
function withoutConnection(headers: OutgoingHttpHeaders): OutgoingHttpHeaders {
  delete headers.connection;
  delete headers['keep-alive'];
  return headers;
}

function onFinish(request: IncomingMessage, response: ServerResponse, client: string, startMs: number): void {
  const { method, url, httpVersion, headers } = request;
  lines.push(
    `${client} - - [${new Date(startMs).toISOString()}] "${method} ${url} HTTP/${httpVersion}" ` +
      `${response.statusCode} "${headers['user-agent'] ?? ''}" ${Date.now() - startMs}\n`,
  );
  if (lines.length >= linesMax) writeLines();
}

function writeLines(): void {
  if (lines.length === 0) return;
  log.write(lines.join(''));
  lines = [];
}
