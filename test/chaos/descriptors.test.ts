import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openStore } from '../../src/stores/open-store.ts';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { ask } from '../helpers/http-client.ts';
import { metricsUrl, scrape } from '../helpers/metrics.ts';
import { until } from '../helpers/until.ts';
import { workerPids } from '../helpers/workers.ts';

const manyClients = fileURLToPath(new URL('../helpers/many-clients.ts', import.meta.url));

/** Opens connections from another process, which has descriptors of its own. @returns once each is open or refused. */
async function openMany(t: TestContext, port: number, count: number, kind: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [manyClients, String(port), String(count), kind]);
  let output = '';
  child.stdout.on('data', (bytes: Buffer) => {
    output += bytes.toString();
  });
  t.after(() => child.kill('SIGKILL'));
  await until('the connections', () => output.includes('settled'), 120_000);
  return child;
}

async function serve(t: TestContext, descriptors: number, settings: Readonly<Record<string, unknown>>) {
  const home = new HipacheHome();
  const backend = await HttpBackend.start('fine');
  t.after(() => home.remove());
  t.after(() => backend.stop());
  home.configure({ metrics: { port: 0 } }, { memoryCheckSeconds: 0.1, drainSeconds: 1, ...settings });
  await home.route('set', 'a.example', backend.url);
  const proxy = await home.serve(descriptors);
  return { home, backend, proxy, workers: workerPids(proxy.pid) };
}

/** Every worker is the one that started, and the host is served. */
async function assertAlive(proxy: HipacheProcess, workers: readonly number[]): Promise<void> {
  for (let count = 0; count < 20; count++) assert.equal((await ask(proxy.port, 'a.example')).body, 'fine');
  assert.deepEqual(workerPids(proxy.pid), workers, proxy.output);
  assert.doesNotMatch(proxy.output, /EMFILE|uncaught|has died/);
}

describe('at the limit of descriptors', () => {
  it('three times as many idle clients end no worker, and others are served', async (t) => {
    const { proxy, workers } = await serve(t, 1500, { workers: 2 });
    await openMany(t, proxy.port, 4500, 'idle');
    await assertAlive(proxy, workers);
    // The memory is looked at every 100 ms, and every scrape looks at it too.
    const url = metricsUrl(proxy.output);
    const looked = (await scrape(url)).get('hipache_idle_connections_closed_total') ?? 0;
    assert.ok(looked > 0);
    await assertAlive(proxy, workers);
  });

  it('600 hosts with a backend each are all served: idle connections to other backends make room', async (t) => {
    const { home, proxy, workers } = await serve(t, 400, { workers: 1 });
    const server = createServer((socket) => {
      socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'));
      socket.on('error', () => {});
    });
    await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve));
    t.after(() => server.close());
    const { port } = server.address() as { port: number };
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    const store = await openStore([home.driver], { serving: false, log });
    for (let host = 0; host < 600; host++) {
      await store.routes.set(`h${host}.example`, null, [`http://127.0.${1 + (host >> 8)}.${host & 255}:${port}`]);
    }
    await store.close();
    for (let host = 0; host < 600; host++) {
      const { status } = await ask(proxy.port, `h${host}.example`);
      assert.equal(status, 200, `h${host}.example`);
    }
    await assertAlive(proxy, workers);
  });

  it('20,000 idle connections to one worker with 20,000 descriptors', async (t) => {
    const { proxy, workers } = await serve(t, 20_000, { workers: 1 });
    await Promise.all([openMany(t, proxy.port, 10_000, 'idle'), openMany(t, proxy.port, 10_000, 'idle')]);
    await assertAlive(proxy, workers);
  });

  it('more tunnels than one worker has descriptors for: the ones that are open stay open', async (t) => {
    const { home, proxy, workers } = await serve(t, 6000, { workers: 1 });
    const accept = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n';
    const server = createServer((socket) => {
      socket.once('data', () => socket.write(`${accept}Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n`));
      socket.on('error', () => {});
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close());
    await home.route('set', 'tunnels.example', `http://127.0.0.1:${(server.address() as { port: number }).port}`);
    await openMany(t, proxy.port, 2500, 'tunnels.example');
    const url = metricsUrl(proxy.output);
    await until('the tunnels', async () => (await scrape(url)).get('hipache_tunnels_open') === 2500);
    await openMany(t, proxy.port, 4000, 'idle');
    await assertAlive(proxy, workers);
    assert.equal((await scrape(url)).get('hipache_tunnels_open'), 2500);
  });
});
