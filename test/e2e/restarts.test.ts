import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { EchoBackend, EchoTunnel } from '../helpers/echo-tunnels.ts';
import { freePort } from '../helpers/free-port.ts';
import { HipacheHome } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { ask } from '../helpers/http-client.ts';
import { RawClient } from '../helpers/raw-client.ts';
import { until } from '../helpers/until.ts';
import { isRunning, workerPids } from '../helpers/workers.ts';

describe('a restart', () => {
  let home: HipacheHome;
  let backend: HttpBackend;
  let port: number;

  beforeEach(async () => {
    home = new HipacheHome();
    backend = await HttpBackend.start('one');
    port = await freePort();
    configure();
    await home.route('set', 'a.example', backend.url);
  });

  afterEach(async () => {
    await home.remove();
    await backend.stop();
  });

  function configure(
    server: Readonly<Record<string, unknown>> = {},
    more: Readonly<Record<string, unknown>> = {},
  ): void {
    home.configure({ http: { bind: [{ address: '127.0.0.1', port }] }, ...more }, { workers: 2, ...server });
  }

  /** An upload in progress. */
  async function upload(): Promise<RawClient> {
    const client = await RawClient.connect(port);
    const { requests } = backend;
    client.send('POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\nhello');
    await until('the upload at the backend', () => backend.requests > requests);
    return client;
  }

  async function finish(client: RawClient): Promise<void> {
    client.send('world');
    await client.expect(/200 OK[\s\S]*Connection: close[\s\S]*one$/);
    client.close();
  }

  function isRefused(): Promise<boolean> {
    return ask(port, 'a.example').then(
      () => false,
      ({ code }) => code === 'ECONNREFUSED',
    );
  }

  it('frees the ports at once, so that the next instance serves while this one drains', async () => {
    const metrics = await freePort();
    configure({}, { metrics: { port: metrics } });
    const former = await home.serve();
    const client = await upload();
    former.signal('SIGTERM');
    await until('the ports to be closed', isRefused);
    const next = await home.serve();
    assert.doesNotMatch(next.output, /another program listens/);
    assert.equal((await ask(port, 'a.example')).body, 'one');
    assert.equal((await ask(metrics, 'localhost', { path: '/healthz' })).status, 200);
    assert.ok(isRunning(former.pid));
    await finish(client);
    assert.equal(await former.ended(), 0);
  });

  it('waits for a port that is in use, says so, and serves when it is free', async () => {
    const other = await listening(port);
    const proxy = home.start();
    const text = `another program listens on 127.0.0.1:${port}: waiting until it stops, for up to 10 s`;
    await until('the log to say so', () => proxy.output.includes(text));
    other.close();
    await proxy.listening();
    assert.equal((await ask(port, 'a.example')).body, 'one');
  });

  it('fails if the port stays in use', async () => {
    configure({ listenWaitSeconds: 0.2 });
    const other = await listening(port);
    const proxy = home.start();
    assert.equal(await proxy.ended(), 1);
    assert.match(proxy.output, /waiting until[\s\S]*cannot listen on [\s\S]*another program listens there/);
    other.close();
  });

  it('at the same moment as another one shares no port with it', async () => {
    configure({ listenWaitSeconds: 1 });
    const both = [home.start(), home.start()];
    const failed = await Promise.race(both.map(async (proxy) => ({ proxy, code: await proxy.ended() })));
    assert.equal(failed.code, 1);
    assert.match(failed.proxy.output, /cannot listen on [\s\S]*another program listens there/);
    const serving = both.find((proxy) => proxy !== failed.proxy);
    await serving?.listening();
    assert.equal((await ask(port, 'a.example')).body, 'one');
    serving?.signal('SIGTERM');
    assert.equal(await serving?.ended(), 0);
  });

  it('that waits ignores the signals that only a serving instance can follow', async (t) => {
    const other = await listening(port);
    t.after(() => other.close());
    const proxy = home.start();
    await until('the log to say so', () => proxy.output.includes('waiting until it stops'));
    for (const signal of ['SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const) {
      proxy.signal(signal);
      const text = `${signal} ignored: Hipache does not serve yet`;
      await until(text, () => proxy.output.includes(text) || !isRunning(proxy.pid));
    }
    other.close();
    await proxy.listening();
    assert.equal((await ask(port, 'a.example')).body, 'one');
    assert.doesNotMatch(proxy.output, /Debugger/);
  });

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`that waits is given up at once by ${signal}`, async (t) => {
      const other = await listening(port);
      t.after(() => other.close());
      const proxy = home.start();
      await until('the log to say so', () => proxy.output.includes('waiting until it stops'));
      proxy.signal(signal);
      assert.equal(await proxy.ended(), 0);
      assert.match(proxy.output, new RegExp(`${signal}: the start is given up[\\s\\S]*stopped\\n$`));
    });
  }

  it('beside an instance that serves shares its ports with it', async () => {
    const former = await home.serve();
    const next = home.start(['--beside']);
    await next.listening();
    for (let count = 0; count < 40; count++) assert.equal((await ask(port, 'a.example')).body, 'one');
    former.signal('SIGTERM');
    assert.equal(await former.ended(), 0);
    for (let count = 0; count < 40; count++) assert.equal((await ask(port, 'a.example')).body, 'one');
    assert.doesNotMatch(next.output, /waiting/);
  });

  it('right after the death of the primary works; its workers finish uploads, and close their tunnels', async (t) => {
    configure({ drainSeconds: 2 });
    const echo = await EchoBackend.start();
    t.after(() => echo.stop());
    await home.route('set', 'tunnels.example', echo.url);
    const former = await home.serve();
    const clients = await Promise.all(Array.from({ length: 6 }, upload));
    const tunnels = await Promise.all(Array.from({ length: 12 }, () => EchoTunnel.open(port, 'tunnels.example')));
    const workers = workerPids(former.pid);
    process.kill(former.pid, 'SIGKILL');
    const serving = home.serve();
    // The workers drain, and have two seconds.
    await until('the first Close', () => tunnels.some(({ closeCode }) => closeCode !== null));
    for (const client of clients) client.send('world');
    for (const client of clients) await client.expect(/200 OK[\s\S]*one$/);
    const next = await serving;
    assert.equal((await ask(port, 'a.example')).body, 'one');
    for (const client of clients) client.close();
    await until('the end of the tunnels', () => tunnels.every(({ closeCode }) => closeCode !== null));
    assert.deepEqual(new Set(tunnels.map(({ closeCode }) => closeCode)), new Set([1001]));
    for (const pid of workers) await until('the end of a worker', () => !isRunning(pid));
    assert.equal(workerPids(next.pid).length, 2);
  });

  it('after the death of the primary leaves no replaced worker with an endless response', async (t) => {
    configure({ drainSeconds: 1, workers: 1 });
    const endless = await HttpBackend.start('endless', (_, response) => {
      const timer = setInterval(() => response.write('more'), 20);
      response.once('close', () => clearInterval(timer));
    });
    t.after(() => endless.stop());
    await home.route('set', 'endless.example', endless.url);
    const proxy = await home.serve();
    const client = await RawClient.connect(port);
    client.send('GET / HTTP/1.1\r\nHost: endless.example\r\n\r\n');
    await client.expect('more');
    const [replaced = 0] = workerPids(proxy.pid);
    proxy.signal('SIGHUP');
    await until('the new worker', () => proxy.output.includes('the new configuration is in use'));
    const workers = workerPids(proxy.pid);
    assert.ok(workers.includes(replaced));
    t.after(() => {
      for (const pid of workers) if (isRunning(pid)) process.kill(pid, 'SIGKILL');
    });
    process.kill(proxy.pid, 'SIGKILL');
    for (const pid of workers) await until('the end of a worker', () => !isRunning(pid));
    assert.ok(client.ended || client.closed);
    client.close();
  });
});

async function listening(port: number): Promise<Server> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return server;
}
