import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { io } from 'socket.io-client';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { ask } from '../helpers/http-client.ts';
import { ServerProcess } from '../helpers/server-process.ts';
import { startOnFreePorts } from '../helpers/start-on-free-ports.ts';

const application = fileURLToPath(new URL('../recipes/applications/socket-io/server.js', import.meta.url));

/** A Socket.IO server in a process of its own, which knows no sessions of others. */
function startServer(): Promise<{ readonly url: string; readonly server: ServerProcess }> {
  return startOnFreePorts(1, ([port = 0]) => {
    const server = new ServerProcess([process.execPath, application], { env: { ...process.env, PORT: String(port) } });
    const responds = () =>
      ask(port, 'localhost').then(
        () => true,
        () => false,
      );
    const url = `http://127.0.0.1:${port}`;
    return { url, server, start: () => server.ready(responds), remove: () => server.stop() };
  });
}

describe('the balancing of a host, with two workers on SQLite', () => {
  const home = new HipacheHome();
  let proxy: HipacheProcess;
  let servers: Awaited<ReturnType<typeof startServer>>[];
  let backends: readonly HttpBackend[];

  before(async () => {
    home.configure({}, { workers: 2 });
    servers = await Promise.all([startServer(), startServer()]);
    backends = await Promise.all(['one', 'two', 'three'].map((name) => HttpBackend.start(name)));
    proxy = await home.serve();
  });

  after(async () => {
    // First, since the proxy waits for polls in progress.
    for (const { server } of servers) await server.stop();
    await home.remove();
    for (const backend of backends) await backend.stop();
  });

  async function setOptions(host: string, ...values: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await home.run('option', 'set', host, ...values, '--wait');
    assert.equal(code, 0, stderr);
    return stdout;
  }

  /** Whether a client that polls, and keeps cookies as a browser does, has a session, and whose. */
  async function poll(): Promise<number | null> {
    // Its library sends the address as its host.
    const socket = io(`http://127.0.0.1:${proxy.port}`, {
      transports: ['polling'],
      forceNew: true,
      reconnection: false,
      withCredentials: true,
    });
    try {
      await new Promise<void>((resolve, reject) => {
        socket.on('connect', resolve);
        socket.on('connect_error', reject);
      });
      const first = (await socket.timeout(10_000).emitWithAck('who')).server;
      for (let i = 0; i < 5; i++) assert.equal((await socket.timeout(10_000).emitWithAck('who')).server, first);
      return first;
    } catch {
      return null;
    } finally {
      socket.disconnect();
    }
  }

  it('keeps the polls of a Socket.IO client on one of two backends with sticky on, ten times of ten', async () => {
    await home.route('set', '127.0.0.1', ...servers.map(({ url }) => url), '--wait');
    const without = await Promise.all(Array.from({ length: 10 }, poll));
    assert.ok(without.includes(null), 'without it, polls go to any backend');
    assert.match(await setOptions('127.0.0.1', 'sticky', 'on'), /^127\.0\.0\.1: set sticky = on/);
    const sessions = await Promise.all(Array.from({ length: 10 }, poll));
    assert.equal(sessions.filter((server) => server !== null).length, 10);
    // Two draws of which the less loaded one is taken: ten clients on the same backend are next to impossible.
    assert.equal(new Set(sessions).size, 2);
  });

  it('gives the requests of a client to one backend with balance hash, in both workers', async () => {
    await home.route('set', 'hash.example', ...backends.map(({ url }) => url), '--wait');
    await setOptions('hash.example', 'balance', 'hash', 'hashBy', 'header:X-Tenant');
    const bodies = async (tenant: string) => {
      const headers = { 'x-tenant': tenant };
      const replies = [];
      for (let i = 0; i < 6; i++) replies.push(await ask(proxy.port, 'hash.example', { headers }));
      return new Set(replies.map(({ body }) => body));
    };
    const all = new Set<string>();
    for (let tenant = 0; tenant < 30; tenant++) {
      const some = await bodies(`tenant ${tenant}`);
      assert.equal(some.size, 1);
      for (const body of some) all.add(body);
    }
    assert.equal(all.size, 3);
  });

  it('explains options and backups, and shows no key', async () => {
    const [first, , last] = backends.map(({ url }) => url);
    await home.route('set', 'shown.example', `${first}`, `${last}#weight=2&backup`);
    const set = await setOptions('*.example', 'stickyKey', 'a secret', 'slowStart', '30s');
    assert.match(set, /stickyKey = \(secret\), slowStart = 30s/);
    const { stdout } = await home.run('explain', 'shown.example');
    assert.match(stdout, /weight 1 +up\n.*weight 2, backup +up\n/);
    assert.match(stdout, /stickyKey +\(secret\) +from \*\.example/);
    assert.match((await home.run('route', 'show', 'shown.example')).stdout, /weight 2, backup\n/);
    const wrong = await home.run('option', 'set', 'shown.example', 'balance', 'fastest');
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /allowed two-choices, random, round-robin, least-requests or hash/);
    const strange = await home.run('route', 'add', 'shown.example', `${first}#backup=yes`);
    assert.equal(strange.code, 2);
    assert.match(strange.stderr, /"#backup=yes" is not #backup/);
  });
});
