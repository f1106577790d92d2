import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Application } from '../helpers/application.ts';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { ask } from '../helpers/http-client.ts';
import { SteadyRequests, SteadyTunnels, SteadyUploads } from '../helpers/lasting-clients.ts';
import { fleetStores } from '../helpers/long-case.ts';
import { RedisServer } from '../helpers/redis-server.ts';
import { until } from '../helpers/until.ts';

for (const name of fleetStores) {
  describe(`hipache deploy, with two instances of two workers on ${name}`, () => {
    let home: HipacheHome;
    let server: RedisServer | null;
    let instances: readonly HipacheProcess[];
    let blue: Application;
    let green: Application;

    beforeEach(async () => {
      home = new HipacheHome();
      server = name === 'redis' ? await RedisServer.start() : null;
      [blue, green] = [await Application.start('blue'), await Application.start('green')];
      home.configure({ driver: server?.url ?? home.driver }, { workers: 2 });
      instances = [await home.serve(), await home.serve()];
      const fleet = async () => JSON.parse((await home.run('fleet', '--json')).stdout).instances.length;
      await until('both instances in the fleet', async () => (await fleet()) === 2);
      await home.route('set', 'a.example', blue.url, '--id', 'shop', '--wait=20');
    });

    afterEach(async () => {
      await home.remove();
      await blue.stop();
      await green.stop();
      await server?.remove();
    });

    const deploy = (...args: string[]) => home.run('deploy', 'a.example', ...args);
    const show = async () => JSON.parse((await home.run('route', 'show', 'a.example', '--json')).stdout);
    const urls = async () => (await show()).backends.map(({ url }: { url: string }) => url);

    it('replaces the backends under load: no request fails, and tunnels end by their Close alone', async () => {
      const clients = instances.flatMap(({ port }) => [
        new SteadyRequests(port, 'a.example', 4),
        new SteadyUploads(port, 'a.example', 3),
        new SteadyTunnels(port, 'a.example', 5),
      ]);
      await until('tunnels and requests at blue', () => blue.tunnels === 10 && blue.requests > 50);
      const { code, stdout, stderr } = await deploy(green.url, '--health', '/up', '--drain', '2s');
      assert.equal(code, 0, stderr);
      const [from, to] = [blue, green].map(({ url }) => url.replaceAll('.', '\\.'));
      assert.match(stdout, new RegExp(`^a\\.example: deployed ${to}; live on 2 instances, 4 workers; ${from} removed`));
      assert.match(stderr, new RegExp(`^${to} is healthy\nswapped; ${from} gets nothing new\nlive on all instances`));
      await until('all tunnels at green', () => blue.tunnels === 0 && green.tunnels === 10);
      const { requests } = green;
      await until('requests at green', () => green.requests > requests + 50);
      for (const client of clients) await client.stop();
      for (const { failures } of clients) assert.deepEqual(failures, []);
      assert.equal(blue.closeCodes.length, 10);
      assert.deepEqual(await show().then(({ draining, id }) => [id, draining]), ['shop', []]);
      assert.deepEqual(await urls(), [green.url]);
    });

    it('changes nothing if the new backend does not become healthy, and says what it shows', async () => {
      const before = await show();
      const cases: readonly [up: Application['up'], args: string[], problem: RegExp][] = [
        [{ status: 503, location: '', body: '' }, ['--health', '/up'], /\/up responds with 503; expected 200 to 299/],
        [
          { status: 302, location: '/login', body: '' },
          ['--health', '/up'],
          /responds with 302 to \/login, which is not followed/,
        ],
        [
          { status: 200, location: '', body: 'starting' },
          ['--health', '/up', '--health-text', 'ready'],
          /does not contain "ready"/,
        ],
        [
          { status: 204, location: '', body: '' },
          ['--health', '/up', '--health-status', '200'],
          /responds with 204; expected 200/,
        ],
      ];
      for (const [up, args, problem] of cases) {
        green.up = up;
        const { code, stderr, stdout } = await deploy(green.url, ...args, '--health-timeout', '600ms');
        assert.deepEqual([code, stdout], [6, '']);
        assert.match(stderr, problem);
        assert.match(stderr, /not healthy after 0\.6 s: .*\. Nothing has changed\n$/);
      }
      assert.deepEqual([...green.paths], ['/up']);
      const { url } = green;
      await green.stop();
      const refused = await deploy(url, '--health-timeout', '600ms');
      assert.equal(refused.code, 6);
      assert.match(refused.stderr, /ECONNREFUSED/);
      assert.deepEqual(await show(), before);
      green = await Application.start('green');
    });

    it('waits until a backend that starts late is healthy', async () => {
      green.up = { status: 503, location: '', body: '' };
      const command = deploy(green.url, '--health', '/up');
      await until('a first probe', () => green.probes > 0);
      assert.equal((await ask(instances[0]?.port ?? 0, 'a.example')).body, 'blue');
      green.up = { status: 200, location: '', body: 'up' };
      const { code, stderr } = await command;
      assert.equal(code, 0, stderr);
      for (const { port } of instances) assert.equal((await ask(port, 'a.example')).body, 'green');
    });

    it('is refused while another one of the host is under way, or waits for its end', async () => {
      green.up = { status: 503, location: '', body: '' };
      const first = deploy(green.url, '--health', '/up');
      await until('a first probe', () => green.probes > 0);
      const second = await deploy(green.url);
      assert.equal(second.code, 5);
      assert.match(
        second.stderr,
        /a\.example is being deployed by .*, process \d+, since .*; --queue 60s waits .* Nothing has/,
      );
      const third = deploy(blue.url, '--queue', '60s');
      green.up = { status: 200, location: '', body: 'up' };
      assert.equal((await first).code, 0);
      const { code, stderr } = await third;
      assert.equal(code, 0, stderr);
      assert.deepEqual(await urls(), [blue.url]);
    });

    it('changes nothing if another program changes the route meanwhile', async () => {
      green.up = { status: 503, location: '', body: '' };
      const command = deploy(green.url, '--health', '/up');
      await until('a first probe', () => green.probes > 0);
      await home.route('add', 'a.example', `${blue.url}#weight=3`);
      green.up = { status: 200, location: '', body: 'up' };
      const { code, stderr } = await command;
      assert.equal(code, 5);
      assert.match(stderr, /nothing is written/);
      assert.deepEqual(await urls(), [blue.url]);
    });

    it('is rolled back, and forth again', async () => {
      const none = await home.run('rollback', 'a.example');
      assert.deepEqual([none.code, none.stdout], [3, '']);
      assert.equal((await deploy(`${green.url}#weight=2`, '--drain', '1s')).code, 0);
      const back = await home.run('rollback', 'a.example', '--drain', '1s', '--json');
      assert.equal(back.code, 0, back.stderr);
      const { backends, replaced } = JSON.parse(back.stdout);
      assert.deepEqual([backends, replaced], [[blue.url], [`${green.url}#weight=2`]]);
      assert.deepEqual(await urls(), [blue.url]);
      assert.equal((await home.run('rollback', 'a.example', '--drain', '1s')).code, 0);
      const [{ url, weight }] = (await show()).backends;
      assert.deepEqual([url, weight], [green.url, 2]);
    });

    it('is rolled back to all backends that served, also where it has added one or changed a weight', async () => {
      const third = await Application.start('third');
      try {
        await home.route('set', 'a.example', blue.url, `${green.url}#weight=2`, '--wait=20');
        assert.equal((await deploy(green.url, third.url, '--drain', '1s')).code, 0);
        assert.equal((await home.run('rollback', 'a.example', '--drain', '1s')).code, 0);
        const back = (await show()).backends.map(({ url, weight }: { url: string; weight: number }) => [url, weight]);
        assert.deepEqual(back, [
          [blue.url, 1],
          [green.url, 2],
        ]);
        assert.equal((await deploy(blue.url, green.url, third.url)).code, 0);
        assert.equal((await home.run('rollback', 'a.example', '--drain', '1s')).code, 0);
        assert.deepEqual(await urls(), [blue.url, green.url]);
      } finally {
        await third.stop();
      }
    });

    it('keeps the id and the time to live of the route, and makes a route that is not there', async () => {
      await home.route('set', 'a.example', blue.url, '--id', 'shop', '--ttl', '600');
      assert.equal((await deploy(green.url, '--drain', '0s')).code, 0);
      const { expires, id } = await show();
      assert.equal(id, 'shop');
      assert.ok(expires.remainingMs > 500_000 && expires.remainingMs <= 601_000);
      const fresh = await home.run('deploy', 'new.example', green.url);
      assert.equal(fresh.code, 0, fresh.stderr);
      assert.equal((await ask(instances[1]?.port ?? 0, 'new.example')).body, 'green');
    });
  });
}
