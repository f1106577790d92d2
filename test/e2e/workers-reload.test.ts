import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { freePort } from '../helpers/free-port.ts';
import { HipacheHome } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { ask } from '../helpers/http-client.ts';
import { SteadyLoad } from '../helpers/steady-load.ts';
import { until } from '../helpers/until.ts';
import { workerPids } from '../helpers/workers.ts';

describe('SIGHUP', () => {
  let home: HipacheHome;
  let backend: HttpBackend;

  beforeEach(async () => {
    home = new HipacheHome();
    backend = await HttpBackend.start('one');
    home.configure({}, { workers: 2 });
    await home.route('set', 'a.example', backend.url);
  });

  afterEach(async () => {
    await home.remove();
    await backend.stop();
  });

  function count(output: string, text: string): number {
    return output.split(text).length - 1;
  }

  it('replaces every worker ten times under load without losing a request', async () => {
    const proxy = await home.serve();
    const first = workerPids(proxy.pid);
    const load = new SteadyLoad(proxy.port, 'a.example', 8, 4);
    for (let round = 1; round <= 10; round++) {
      proxy.signal('SIGHUP');
      await until('the new workers', () => count(proxy.output, 'the new configuration is in use') === round);
      const before = load.answered;
      await until('requests on them', () => load.answered > before + 50);
    }
    await load.stop();
    assert.deepEqual(load.failures, []);
    assert.equal(count(proxy.output, 'reason=reload'), 20);
    await until('the end of the old ones', () => workerPids(proxy.pid).length === 2);
    assert.ok(workerPids(proxy.pid).every((pid) => !first.includes(pid)));
  });

  it('changes nothing if the file has errors, and names them', async () => {
    const proxy = await home.serve();
    const before = workerPids(proxy.pid);
    writeFileSync(home.path('config.json'), '{"server": {"workers": 0}}');
    proxy.signal('SIGHUP');
    await until('the log to say so', () => /nothing is changed: .*server\.workers: found 0/s.test(proxy.output));
    writeFileSync(home.path('config.json'), '{"server": ');
    proxy.signal('SIGHUP');
    await until('the log to say so again', () => count(proxy.output, 'nothing is changed') === 2);
    assert.deepEqual(workerPids(proxy.pid), before);
    assert.equal((await ask(proxy.port, 'a.example')).body, 'one');
  });

  it('changes nothing if a new worker cannot start', async () => {
    const proxy = await home.serve();
    const before = workerPids(proxy.pid);
    writeFileSync(home.path('file'), '');
    home.configure({}, { workers: 2, staticDir: home.path('file') });
    proxy.signal('SIGHUP');
    await until('the log to say so', () => proxy.output.includes('nothing is changed'));
    assert.match(proxy.output, /server\.staticDir/);
    assert.deepEqual(workerPids(proxy.pid), before);
    assert.equal((await ask(proxy.port, 'a.example')).body, 'one');
  });

  it('binds added addresses, and closes removed ones', async () => {
    const one = await freePort();
    home.configure({ http: { bind: [{ address: '127.0.0.1', port: one }] } }, { workers: 2 });
    const proxy = await home.serve();
    const two = await freePort();
    home.configure(
      {
        http: {
          bind: [
            { address: '127.0.0.1', port: one },
            { address: '127.0.0.1', port: two },
          ],
        },
      },
      { workers: 2 },
    );
    proxy.signal('SIGHUP');
    await until('the new address', () => proxy.output.includes(`listening on http://127.0.0.1:${two}`));
    assert.equal((await ask(one, 'a.example')).body, 'one');
    assert.equal((await ask(two, 'a.example')).body, 'one');
    home.configure({ http: { bind: [{ address: '127.0.0.1', port: two }] } }, { workers: 2 });
    proxy.signal('SIGHUP');
    await until('the end of the old one', () =>
      ask(one, 'a.example').then(
        () => false,
        (error: NodeJS.ErrnoException) => error.code === 'ECONNREFUSED',
      ),
    );
    for (let request = 0; request < 20; request++) assert.equal((await ask(two, 'a.example')).body, 'one');
  });

  it('serves what the kernel has queued for a removed address', async () => {
    const [one, two] = [await freePort(), await freePort()];
    const bind = (...ports: number[]) =>
      home.configure({ http: { bind: ports.map((port) => ({ address: '127.0.0.1', port })) } }, { workers: 3 });
    bind(one, two);
    const proxy = await home.serve();
    bind(two);
    proxy.signal('SIGHUP');
    const outcomes: string[] = [];
    for (const worker of [1, 2]) {
      await until('a new worker', () => proxy.output.includes(`a worker was replaced worker=${worker}`));
      const requests = Array.from({ length: 20 }, () => ask(one, 'a.example'));
      const settled = await Promise.allSettled(requests);
      for (const result of settled)
        outcomes.push(result.status === 'fulfilled' ? result.value.body : result.reason.code);
    }
    await until('the new configuration', () => proxy.output.includes('the new configuration is in use'));
    // Refused ones have come after the last worker.
    assert.deepEqual(
      outcomes.filter((outcome) => outcome !== 'one' && outcome !== 'ECONNREFUSED'),
      [],
    );
    await until('the end of the old address', () =>
      ask(one, 'a.example').then(
        () => false,
        (error: NodeJS.ErrnoException) => error.code === 'ECONNREFUSED',
      ),
    );
  });

  it('changes nothing if a new address is in use', async () => {
    const proxy = await home.serve();
    const before = workerPids(proxy.pid);
    home.configure(
      {
        http: {
          bind: [
            { address: '127.0.0.1', port: 0 },
            { address: '127.0.0.1', port: backend.port },
          ],
        },
      },
      { workers: 2 },
    );
    proxy.signal('SIGHUP');
    await until('the log to say so', () => /nothing is changed: cannot listen on .*another program/.test(proxy.output));
    assert.deepEqual(workerPids(proxy.pid), before);
  });

  it('follows the number of workers, up and down, without losing a request', async () => {
    const proxy = await home.serve();
    const load = new SteadyLoad(proxy.port, 'a.example', 4, 4);
    for (const [round, workers] of [3, 1, 2].entries()) {
      home.configure({}, { workers });
      proxy.signal('SIGHUP');
      await until('the new workers', () => count(proxy.output, 'the new configuration is in use') === round + 1);
      await until('as many', () => workerPids(proxy.pid).length === workers);
      const before = load.answered;
      await until('requests on them', () => load.answered > before + 50);
    }
    await load.stop();
    assert.deepEqual(load.failures, []);
  });
});
