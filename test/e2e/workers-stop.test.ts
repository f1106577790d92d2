import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { EchoBackend, EchoTunnel } from '../helpers/echo-tunnels.ts';
import { HipacheHome } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { ask } from '../helpers/http-client.ts';
import { until } from '../helpers/until.ts';
import { workerPids } from '../helpers/workers.ts';

describe('SIGTERM', () => {
  let home: HipacheHome;

  beforeEach(() => {
    home = new HipacheHome();
  });

  afterEach(() => home.remove());

  it('during a SIGHUP ends the new workers too, and nothing of the new configuration takes effect', async () => {
    home.configure({}, { workers: 1 });
    const proxy = await home.serve();
    // A worker blocks here until somebody reads.
    execFileSync('mkfifo', [home.path('fifo')]);
    home.configure({}, { workers: 3, accessLog: home.path('fifo') });
    proxy.signal('SIGHUP');
    await until('a new worker', () => workerPids(proxy.pid).length === 2);
    proxy.signal('SIGTERM');
    assert.equal(await proxy.ended(), 0);
    assert.deepEqual(workerPids(proxy.pid), []);
    assert.match(proxy.output, /stopped\n$/);
    assert.doesNotMatch(proxy.output, /nothing is changed|in use|did not finish/);
  });

  it('closes the tunnels of replaced workers that had more time', async (t) => {
    const echo = await EchoBackend.start();
    t.after(() => echo.stop());
    home.configure({}, { workers: 1, drainSeconds: 3600 });
    await home.route('set', 'a.example', echo.url);
    const proxy = await home.serve();
    const tunnels = await Promise.all(Array.from({ length: 8 }, () => EchoTunnel.open(proxy.port, 'a.example')));
    t.after(() => {
      for (const tunnel of tunnels) tunnel.close();
    });
    const reload = async (count: number): Promise<void> => {
      proxy.signal('SIGHUP');
      await until('new workers', () => proxy.output.split('the new configuration is in use').length === count + 1);
    };
    await reload(1);
    home.configure({}, { workers: 1, drainSeconds: 10 });
    await reload(2);
    assert.ok(tunnels.filter(({ closeCode }) => closeCode === null).length >= 6);
    proxy.signal('SIGTERM');
    assert.equal(await proxy.ended(), 0);
    await until('the end of all tunnels', () => tunnels.every(({ closeCode }) => closeCode !== null));
    for (const { closeCode } of tunnels) assert.ok(closeCode === 1012 || closeCode === 1001, `${closeCode}`);
    assert.doesNotMatch(proxy.output, /had not finished/);
  });

  it('is reported if requests or tunnels of a replaced worker had to be ended', async (t) => {
    const stuck = await HttpBackend.start('stuck', () => {});
    t.after(() => stuck.stop());
    home.configure({}, { workers: 1, drainSeconds: 3600 });
    await home.route('set', 'a.example', stuck.url);
    const proxy = await home.serve();
    const response = ask(proxy.port, 'a.example').catch((error: Error) => error);
    await until('the request at the backend', () => stuck.requests === 1);
    home.configure({}, { workers: 1, drainSeconds: 1 });
    proxy.signal('SIGHUP');
    await until('a new worker', () => proxy.output.includes('the new configuration is in use'));
    proxy.signal('SIGTERM');
    assert.equal(await proxy.ended(), 0);
    assert.ok((await response) instanceof Error);
    assert.match(proxy.output, /did not finish in time/);
  });
});
