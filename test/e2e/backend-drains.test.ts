import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { EchoBackend, EchoTunnel } from '../helpers/echo-tunnels.ts';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { ask } from '../helpers/http-client.ts';
import { fleetStores } from '../helpers/long-case.ts';
import { RedisServer } from '../helpers/redis-server.ts';
import { until } from '../helpers/until.ts';

for (const name of fleetStores) {
  describe(`a backend that drains, of two instances of two workers on ${name}`, () => {
    let home: HipacheHome;
    let server: RedisServer | null;
    let instances: readonly HipacheProcess[];
    let held: ServerResponse[];
    let isHolding: boolean;
    let slow: HttpBackend;
    let fast: HttpBackend;

    beforeEach(async () => {
      home = new HipacheHome();
      server = name === 'redis' ? await RedisServer.start() : null;
      held = [];
      isHolding = true;
      slow = await HttpBackend.start('slow', (_request, response) => {
        if (isHolding) held.push(response);
        else response.end('slow');
      });
      fast = await HttpBackend.start('fast');
      home.configure({ driver: server?.url ?? home.driver }, { workers: 2 });
      instances = [await home.serve(), await home.serve()];
      const fleet = async () => JSON.parse((await home.run('fleet', '--json')).stdout).instances.length;
      await until('both instances in the fleet', async () => (await fleet()) === 2);
    });

    afterEach(async () => {
      await home.remove();
      await slow.stop();
      await fast.stop();
      await server?.remove();
    });

    /** Requests at the slow backend, one through each instance, which are there when it resolves. */
    async function hold() {
      await home.route('set', 'a.example', slow.url, '--wait=20');
      const requests = instances.map(({ port }) => ask(port, 'a.example').catch((error: Error) => error));
      await until('the requests at the backend', () => held.length === 2);
      return { responses: Promise.all(requests) };
    }

    const drain = (...args: string[]) => home.run('route', 'remove', ...args);
    const show = async () => (await home.run('route', 'show', 'a.example')).stdout;

    it('gets no new requests, and is removed when those in progress have finished', async () => {
      const { responses } = await hold();
      await home.route('add', 'a.example', fast.url);
      const command = drain('a.example', slow.url, '--drain=60');
      await until('the mark', async () => /^draining +http:\S+ +until /m.test(await show()));
      await home.route('set', 'other.example', fast.url, '--wait=20');
      for (const { port } of instances) {
        for (let i = 0; i < 20; i++) assert.equal((await ask(port, 'a.example')).body, 'fast');
      }
      assert.match((await home.run('explain', 'a.example')).stdout, /^draining +http:/m);
      for (const response of held) response.end('slow');
      const { code, stdout, stderr } = await command;
      assert.equal(code, 0, stderr);
      assert.match(stdout, /1 backend left; version \w+; drained on 2 instances, 4 workers after \d+\.\d s\n$/);
      assert.deepEqual(
        (await responses).map((response) => (response instanceof Error ? response.message : response.body)),
        ['slow', 'slow'],
      );
      assert.doesNotMatch(await show(), /draining|weight 1[\s\S]*weight 1/);
    });

    it('loses requests that do not finish in time', async () => {
      const { responses } = await hold();
      const { code, stdout, stderr } = await drain('a.example', slow.url, '--drain=1', '--json');
      assert.equal(code, 0, stderr);
      const { drained, left } = JSON.parse(stdout);
      assert.equal(left, 0);
      assert.deepEqual([drained.instances, drained.requestsEnded, drained.silent], [2, 2, []]);
      for (const response of await responses) assert.ok(response instanceof Error, 'it was ended');
    });

    it('gets requests again when it is added again, and those in progress go on', async () => {
      const { responses } = await hold();
      const untilMs = Date.now() + 6000;
      await home.route('set', 'a.example', `${slow.url}#drain=${untilMs}`, fast.url, '--wait=20');
      assert.match(await home.route('add', 'a.example', slow.url, '--wait=20'), /changed: http/);
      await until('the end of the drain that was taken back', () => Date.now() > untilMs + 600);
      for (const response of held) response.end('slow');
      assert.deepEqual(
        (await responses).map((response) => (response instanceof Error ? response.message : response.body)),
        ['slow', 'slow'],
      );
      isHolding = false;
      await until('a new request', async () => (await ask(instances[0]?.port ?? 0, 'a.example')).body === 'slow');
    });

    it('stays if it is added again while the command waits', async () => {
      const { responses } = await hold();
      const command = drain('a.example', slow.url, '--drain=30');
      await until('the mark', async () => (await home.route('list', '--json')).includes('#drain='));
      await home.route('add', 'a.example', slow.url);
      for (const response of held) response.end('slow');
      await responses;
      isHolding = false;
      const { code, stderr } = await command;
      assert.equal(code, 5, stderr);
      assert.match(stderr, /a\.example: the backends were added again while they drained; they stay/);
      assert.ok((await home.route('show', 'a.example')).includes(slow.url));
    });

    it('is waited for alone: not for other hosts, nor for an earlier drain of the host', async () => {
      const { responses } = await hold();
      await home.route('set', 'b.example', slow.url, fast.url);
      await home.route('add', 'a.example', fast.url);
      const long = drain('a.example', slow.url, '--drain=60');
      await until('the mark', async () => /^draining +http:/m.test(await show()));
      const short = await drain('b.example', slow.url, '--drain=60', '--json');
      assert.equal(short.code, 0, short.stderr);
      const { afterMs, requestsEnded, silent } = JSON.parse(short.stdout).drained;
      assert.ok(afterMs < 30_000, `it took ${afterMs} ms`);
      assert.deepEqual([requestsEnded, silent], [0, []]);
      const again = await drain('a.example', fast.url, '--drain=60', '--json');
      assert.equal(again.code, 0, again.stderr);
      assert.deepEqual(JSON.parse(again.stdout).drained.silent, []);
      assert.equal(held.length, 2);
      for (const response of held) response.end('slow');
      await responses;
      assert.equal((await long).code, 0);
    });

    it('gives its tunnels a Close', async () => {
      const [echo, other] = [await EchoBackend.start(), await EchoBackend.start()];
      const tunnels: EchoTunnel[] = [];
      try {
        await home.route('set', 't.example', echo.url, '--wait=20');
        for (const { port } of instances)
          for (let i = 0; i < 4; i++) tunnels.push(await EchoTunnel.open(port, 't.example'));
        await home.route('add', 't.example', other.url);
        const command = drain('t.example', echo.url, '--drain=3');
        await until('their Close', () => tunnels.every(({ closeCode }) => closeCode !== null));
        const { code, stdout, stderr } = await command;
        assert.equal(code, 0, stderr);
        assert.match(stdout, /drained on 2 instances, 4 workers after \d+\.\d s; 8 tunnels ended\n$/);
        assert.deepEqual(new Set(tunnels.map(({ closeCode }) => closeCode)), new Set([1001]));
        const later = await EchoTunnel.open(instances[0]?.port ?? 0, 't.example');
        tunnels.push(later);
        await later.echo();
      } finally {
        for (const tunnel of tunnels) tunnel.close();
        echo.stop();
        other.stop();
      }
    });
  });
}
