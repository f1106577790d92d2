import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { GrpcBackend } from '../helpers/grpc-backend.ts';
import { GrpcClient, type GrpcStream, statusText, succeeded } from '../helpers/grpc-client.ts';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { until } from '../helpers/until.ts';
import { isRunning, workerPids } from '../helpers/workers.ts';

const host = 'grpc.example';

describe('calls of gRPC when workers are replaced', () => {
  let home: HipacheHome;
  let backend: GrpcBackend;
  let clients: GrpcClient[] = [];

  beforeEach(async () => {
    home = new HipacheHome();
    backend = await GrpcBackend.start();
    await configure();
  });

  afterEach(async () => {
    for (const each of clients) each.close();
    clients = [];
    backend.stop();
    await home.remove();
  });

  async function configure(server: Readonly<Record<string, unknown>> = {}): Promise<void> {
    const http = { bind: [{ address: '127.0.0.1', port: 0, h2c: true }] };
    home.configure({ http }, { workers: 2, drainSeconds: 60, ...server });
    await home.route('set', host, backend.url);
  }

  function client(port: number): GrpcClient {
    const made = new GrpcClient(port, host);
    clients.push(made);
    return made;
  }

  /** Streams of several clients, so that each worker has some. */
  async function begin(proxy: HipacheProcess): Promise<GrpcStream[]> {
    const chats = Array.from({ length: 12 }, () => client(proxy.port).chat());
    for (const chat of chats) assert.equal(await chat.echo('begun'), 'begun');
    return chats;
  }

  /** Makes calls one after the other, on one connection as long as it lasts. @returns a function that ends it. */
  function callOn(port: number): () => Promise<number> {
    const grpc = client(port);
    let stops = false;
    let count = 0;
    const all = (async () => {
      while (!stops) {
        const result = await grpc.unary(`call ${count}`);
        // Node has read the GOAWAY before it has written the call: @grpc/grpc-js tries that again in most cases only.
        if (/^UNAVAILABLE: Write error: .*_REFUSED_STREAM$/.test(statusText(result))) continue;
        assert.deepEqual(succeeded(result).map(String), [`call ${count}`]);
        count++;
      }
    })();
    return async () => {
      const before = count;
      await until('further calls', () => count > before + 50);
      stops = true;
      await all;
      return count;
    };
  }

  for (const kind of ['reload', 'upgrade'] as const) {
    it(`${kind}: streams go on at the old workers, calls go to the new ones, and none fails`, async () => {
      const proxy = await home.serve();
      const old = workerPids(proxy.pid);
      const chats = await begin(proxy);
      const callers = Array.from({ length: 4 }, () => callOn(proxy.port));
      if (kind === 'upgrade') await proxy.upgrade();
      else {
        proxy.signal('SIGHUP');
        await until('the new workers', () => proxy.output.includes('the new configuration is in use'));
      }
      for (const stop of callers) await stop();
      for (const chat of chats) assert.equal(await chat.echo('still there'), 'still there');
      assert.ok(old.some(isRunning));
      for (const chat of chats) {
        chat.end();
        succeeded(await chat.ended);
      }
      await until('the end of the old workers', () => !old.some(isRunning));
      assert.doesNotMatch(proxy.output, /did not finish in time|had not finished/);
    });
  }

  it('a stop: streams may end, and those that do not in server.drainSeconds get UNAVAILABLE', async () => {
    await configure({ drainSeconds: 1 });
    const proxy = await home.serve();
    const [ends, ...stays] = await begin(proxy);
    proxy.signal('SIGTERM');
    assert.equal(await ends?.echo('still there'), 'still there');
    ends?.end();
    assert.match(statusText((await ends?.ended) as never), /^OK/);
    for (const { ended } of stays) assert.match(statusText(await ended), /^UNAVAILABLE: /);
    await proxy.ended();
  });
});
