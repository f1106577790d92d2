// A backend for endless bodies, which holds nothing: `GET /N` answers with N bytes, with `?chunked` in chunks;
// anything else is read and counted, and answered with the number of its bytes.
//   node stream-backend.ts PORT
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { Zeros } from './zeros.ts';

const server = createServer((request, response) => {
  (request.method === 'GET' ? give(request, response) : take(request, response)).catch(() => response.destroy());
});
server.requestTimeout = 0;
server.listen(Number(process.argv[2]), '127.0.0.1');

async function give(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [path = '', query] = (request.url ?? '').split('?');
  const bytes = Number(path.slice(1));
  response.writeHead(200, query === 'chunked' ? {} : { 'content-length': bytes });
  await pipeline(new Zeros(bytes), response);
}

async function take(request: IncomingMessage, response: ServerResponse): Promise<void> {
  let bytes = 0;
  for await (const chunk of request) bytes += (chunk as Buffer).length;
  response.end(String(bytes));
}
