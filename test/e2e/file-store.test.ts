import assert from 'node:assert/strict';
import { chmodSync, existsSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { HipacheHome } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { ask } from '../helpers/http-client.ts';
import { SteadyLoad } from '../helpers/steady-load.ts';
import { until } from '../helpers/until.ts';
import { workerPids } from '../helpers/workers.ts';

describe('routes in a file', () => {
  let home: HipacheHome;
  let one: HttpBackend;
  let two: HttpBackend;

  beforeEach(async () => {
    home = new HipacheHome();
    [one, two] = [await HttpBackend.start('one'), await HttpBackend.start('two')];
    home.configure({ driver: `file:${home.path('routes.yaml')}` }, { workers: 2 });
  });

  afterEach(async () => {
    await home.remove();
    await one.stop();
    await two.stop();
  });

  const textOf = (routes: Readonly<Record<string, string>>) =>
    ['# Routes', 'routes:', ...Object.entries(routes).map(([host, url]) => `  ${host}: [${url}]`), ''].join('\n');
  const write = (routes: Readonly<Record<string, string>>) => writeFileSync(home.path('routes.yaml'), textOf(routes));

  it('an edit is live under requests without a failed one, also to other hosts', async () => {
    write({ 'a.example': one.url, 'b.example': one.url });
    const proxy = await home.serve();
    const load = new SteadyLoad(proxy.port, ['a.example', 'b.example'], 6, 2);
    const body = async (host: string) => (await ask(proxy.port, host)).body;
    for (let round = 0; round < 10; round++) {
      const [next, name] = round % 2 === 0 ? [two, 'two'] : [one, 'one'];
      if (round % 3 === 0) {
        writeFileSync(home.path('new.yaml'), textOf({ 'a.example': next.url, 'b.example': one.url }));
        renameSync(home.path('new.yaml'), home.path('routes.yaml'));
      } else if (round % 3 === 1) write({ 'a.example': next.url, 'b.example': one.url });
      else await home.route('set', 'a.example', next.url);
      // Each connection may go to another worker.
      await until(`${name} from all workers`, async () => {
        const bodies = await Promise.all(Array.from({ length: 8 }, () => body('a.example')));
        return bodies.every((text) => text === name);
      });
      assert.equal(await body('b.example'), 'one');
    }
    writeFileSync(home.path('routes.yaml'), 'routes:\n  a.example: [\n');
    await until('both workers to report it', () => proxy.output.split('line 3, column 1').length === 3);
    rmSync(home.path('routes.yaml'));
    await until('both workers to report that', () => proxy.output.split('does not exist').length === 3);
    const before = load.answered;
    await until('requests', () => load.answered > before + 100);
    await load.stop();
    assert.deepEqual(load.failures, []);
  });

  it('a start with a bad file names every problem; with a missing one it serves once the file is there', async () => {
    writeFileSync(home.path('routes.yaml'), 'routes:\n  a.example: [http://a:1]\n  A.example: []\nx: 1\n');
    const problems = /line 3, column 3: .*given twice.*; line 4, column 1: unknown key "x"/;
    for (const args of [[], ['--dry']]) {
      const proxy = home.start(args);
      assert.equal(await proxy.ended(), 1);
      assert.match(proxy.output, problems);
    }
    assert.match((await home.run('route', 'list')).stderr, problems);
    rmSync(home.path('routes.yaml'));
    const proxy = await home.serve();
    assert.equal((await ask(proxy.port, 'a.example')).status, 503);
    write({ 'a.example': one.url });
    await until('the route', async () => (await ask(proxy.port, 'a.example')).body === 'one');
  });

  it('workers share dead marks, and a worker that starts while the file is bad serves what others know', async () => {
    write({ 'a.example': one.url });
    await home.route('add', 'a.example', 'http://127.0.0.1:1');
    const proxy = await home.serve();
    await until('a mark', async () => {
      await ask(proxy.port, 'a.example');
      return /dead .*BACKEND_CONNECT_REFUSED/.test((await home.run('explain', 'a.example')).stdout);
    });
    assert.ok(existsSync(home.path('state')));
    writeFileSync(home.path('routes.yaml'), '');
    // The primary, which probes the dead backend, may report it too.
    await until('both workers to report it', () =>
      [1, 2].every((worker) => new RegExp(`worker=${worker} .*the file is empty`).test(proxy.output)),
    );
    const [first] = workerPids(proxy.pid);
    process.kill(first as number, 'SIGKILL');
    await until(
      'another worker',
      () => workerPids(proxy.pid).length === 2 && !workerPids(proxy.pid).includes(first as number),
    );
    for (let i = 0; i < 20; i++) assert.equal((await ask(proxy.port, 'a.example')).body, 'one');
  });

  it('a program that root starts for another user reads the file, and owns its marks alone', {
    skip: process.getuid?.() !== 0,
  }, async () => {
    home.configure({ driver: `file:${home.path('routes.yaml')}`, user: 'nobody' }, { accessLog: '-' });
    write({ 'a.example': one.url, 'b.example': 'http://127.0.0.1:1' });
    chmodSync(home.directory, 0o755);
    const proxy = await home.serve();
    assert.equal((await ask(proxy.port, 'a.example')).body, 'one');
    assert.equal((await ask(proxy.port, 'b.example')).status, 502);
    assert.equal(statSync(home.path('routes.yaml')).uid, 0);
    assert.notEqual(statSync(home.path('state')).uid, 0);
    await until('the failure', async () =>
      /BACKEND_CONNECT_REFUSED/.test((await home.run('explain', 'b.example')).stdout),
    );
    chmodSync(home.path('routes.yaml'), 0o600);
    const dry = await home.run('--dry');
    assert.deepEqual([dry.code, /driver: nobody may not read \S+routes\.yaml/.test(dry.stderr)], [2, true]);
  });
});
