// npm run demo: the proxy on its embedded store, two sample applications behind one host, and what to try with them.
// Everything is in a temporary folder and ends with Ctrl-C.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { dashboardDirectory, siteDirectory } from '../src/base/package-files.ts';
import { makeAdminToken } from '../src/operations/admin-token.ts';
import { dashboardFiles } from './dashboard.ts';
import { SampleApplication, startChild, stopChildren } from './demo-children.ts';
import { root, writeFiles } from './files.ts';
import { siteFiles } from './site.ts';

const host = 'demo.localhost';
const usualPort = 8080;
const startMs = 20_000;
const hipache = join(root, 'bin', 'hipache');

const folder = mkdtempSync(join(tmpdir(), 'hipache-demo-'));
const driver = `sqlite:${join(folder, 'routes.sqlite')}`;
let stopping = false;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void stop(0));
// The terminal, or what the output is piped to, may go first.
process.stdout.on('error', () => void stop(0));

try {
  await main();
} catch (error) {
  // Children that are stopped by the user's own stop fail whatever waits for them.
  if (!stopping) {
    process.stderr.write(`The demo could not start: ${error instanceof Error ? error.message : String(error)}\n`);
    await stop(1);
  }
}

async function main(): Promise<void> {
  const [dashboardParts, site] = await Promise.all([dashboardFiles(), siteFiles()]);
  writeFiles(dashboardDirectory(), dashboardParts);
  writeFiles(siteDirectory(), site);
  const port = await freePort(usualPort);
  const dashboard = { port: await freePort(port + 1), token: makeAdminToken('demo', 'write') };
  const blue = new SampleApplication('blue');
  const green = new SampleApplication('green');
  await Promise.all([blue.start(), green.start()]);
  await runHipache(['--driver', driver, 'route', 'set', host, blue.url, green.url, '--id', 'demo']);
  const proxy = startProxy(port, dashboard);
  await waitUntil(proxy, () => responds(port, '__ping__'));
  await waitUntil(proxy, () => responds(dashboard.port, 'localhost'));
  say(instructions(port, dashboard, blue, green));
  const hasKeys = process.stdin.isTTY;
  say(
    hasKeys
      ? `Keys: k kills the application ${blue.name}, and k again brings it back; q or Ctrl-C ends the demo.\n`
      : 'Keys are off, as the input is not a terminal. SIGINT (Ctrl-C) or SIGTERM ends the demo.\n',
  );
  say('The log of the proxy:');
  if (hasKeys) listenForKeys(blue, port);
}

/** Where the dashboard is, and what it takes to see it. */
interface DemoDashboard {
  readonly port: number;
  readonly token: ReturnType<typeof makeAdminToken>;
}

function startProxy(port: number, dashboard: DemoDashboard): ChildProcess {
  const file = join(folder, 'config.json');
  const config = {
    server: { accessLog: '-', httpKeepAlive: true, deadBackendTTL: 5, drainSeconds: 2 },
    http: { port, bind: '127.0.0.1' },
    admin: { bind: `127.0.0.1:${dashboard.port}`, tokens: [dashboard.token.entry] },
    driver,
    // As root the proxy would otherwise run as www-data, which may not write into this folder.
    ...(process.getuid?.() === 0 ? { user: 'root' } : {}),
  };
  writeFileSync(file, `${JSON.stringify(config, null, 2)}\n`);
  const proxy = startChild(hipache, ['-c', file], ['ignore', 'inherit', 'inherit']);
  proxy.once('exit', (code) => {
    if (stopping) return;
    process.stderr.write(`The proxy has ended by itself, with exit code ${code}.\n`);
    void stop(1);
  });
  return proxy;
}

async function runHipache(args: readonly string[]): Promise<void> {
  const child = startChild(hipache, args, ['ignore', 'ignore', 'inherit']);
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`hipache ${args.join(' ')} has failed`);
}

async function waitUntil(proxy: ChildProcess, isThere: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + startMs;
  while (!(await isThere())) {
    if (proxy.exitCode !== null || proxy.signalCode !== null) throw new Error('the proxy did not start');
    if (Date.now() > deadline) throw new Error(`the proxy did not answer within ${startMs / 1000} s`);
    await sleep(50);
  }
}

/** Whether a request for `host` gets a response with status 200. */
function responds(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get({ host: '127.0.0.1', port, headers: { host }, agent: false, timeout: 1000 });
    request.on('response', (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(false));
  });
}

function instructions(
  port: number,
  dashboard: DemoDashboard,
  blue: SampleApplication,
  green: SampleApplication,
): string {
  const command = `${shellWord(hipache)} --driver ${shellWord(driver)}`;
  return `
Hipache serves. Open

  http://${host}:${port}/

The page loads itself again every second; either of two applications answers, ${blue.name} and ${green.name}.
The dashboard, with the token of this demo:

  http://127.0.0.1:${dashboard.port}/#token=${dashboard.token.token}

To try in another terminal:

  curl -H 'Host: ${host}' http://127.0.0.1:${port}/

  # a new host, live at once: http://hello.localhost:${port}/
  ${command} route set hello.localhost ${green.url}

  # one backend less, and back again
  ${command} route remove ${host} ${green.url}
  ${command} route add ${host} ${green.url}

  # which route a host takes, and which backends are marked dead
  ${command} explain ${host}
`;
}

function listenForKeys(application: SampleApplication, port: number): void {
  process.stdin.setRawMode(true);
  process.stdin.setEncoding('utf8');
  let busy = false;
  process.stdin.on('data', async (keys: string) => {
    // Ctrl-C and Ctrl-D arrive as characters in this mode.
    if (['q', '\x03', '\x04'].some((key) => keys.includes(key))) return stop(0);
    if (!keys.includes('k') || busy || stopping) return;
    busy = true;
    try {
      if (application.isRunning) {
        await application.kill();
        say(`${application.name} is dead. http://${host}:${port}/ goes on. Press k to bring it back.`);
      } else {
        await application.start();
        say(`${application.name} is back. It gets requests again once its dead mark has ended, after 5 s at most.`);
      }
    } catch (error) {
      say(`${application.name} could not be started: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      busy = false;
    }
  });
}

/** Ends the children, removes the folder, and leaves. */
async function stop(exitCode: number): Promise<void> {
  if (stopping) return;
  stopping = true;
  if (process.stdin.isTTY) process.stdin.setRawMode(false);
  await stopChildren();
  rmSync(folder, { recursive: true, force: true });
  say('The demo has ended.');
  process.exit(exitCode);
}

/** The port of an address to open: the usual one, else any free one. */
async function freePort(usual: number): Promise<number> {
  if ((await canListen(usual, '127.0.0.1')) && (await canListen(usual, '::1'))) return usual;
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  if (typeof address !== 'object' || address === null) throw new Error('there is no free port');
  say(`Port ${usual} is taken; port ${address.port} is used.`);
  return address.port;
}

/** A machine without IPv6 has no other server on its address either. */
function canListen(port: number, address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'EADDRINUSE'));
    server.listen(port, address, () => server.close(() => resolve(true)));
  });
}

/** `text` as one word of a POSIX shell. */
function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
