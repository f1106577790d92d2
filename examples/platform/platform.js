// A small platform: it starts the application of a host when Hipache says that requests wait for it, and stops it when
// Hipache says that nobody uses it. Run `node platform.js apps.json`; README.md says the rest.

import { spawn } from 'node:child_process';
import { createHmac, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

const { apps, key = '', port = 4000 } = JSON.parse(readFileSync(process.argv[2] ?? 'apps.json', 'utf8'));
const bodyBytesMax = 64 * 1024;
/** Processes by host. */
const running = new Map();

const server = createServer(async (request, response) => {
  const body = await read(request);
  if (body === null) return respond(response, 413);
  if (!isSigned(request.headers['x-hipache-signature'], body)) return respond(response, 403);
  const { event, host } = JSON.parse(body);
  const app = apps[host];
  if (app === undefined) return respond(response, 404);
  if (event === 'wake') start(host, app);
  if (event === 'idle') running.get(host)?.kill('SIGTERM');
  return respond(response, 204);
});

server.listen(port, '127.0.0.1', () => console.log(`listening on port ${server.address().port}`));

process.once('SIGTERM', () => {
  for (const child of running.values()) child.kill('SIGTERM');
  server.close();
  server.closeAllConnections();
});

/** Starts an application, unless it runs. Hipache notices by itself when it listens. */
function start(host, { command, env = {} }) {
  if (running.has(host)) return;
  const [program, ...args] = command;
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: 'inherit' });
  running.set(host, child);
  console.log(`${host} starts`);
  child.once('error', (error) => console.error(`${host}: ${error.message}`));
  child.once('close', () => {
    running.delete(host);
    console.log(`${host} has stopped`);
  });
}

/** The body; null if it is too long. */
async function read(request) {
  let body = '';
  for await (const chunk of request.setEncoding('utf8')) {
    body += chunk;
    if (body.length > bodyBytesMax) return null;
  }
  return body;
}

/** Whether the request comes from somebody who knows the key (option wakeKey). */
function isSigned(signature = '', body) {
  if (key === '') return true;
  const expected = Buffer.from(`sha256=${createHmac('sha256', key).update(body).digest('hex')}`);
  const given = Buffer.from(signature);
  return given.length === expected.length && timingSafeEqual(given, expected);
}

function respond(response, status) {
  response.writeHead(status).end();
}
