import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Application } from '../helpers/application.ts';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { SteadyRequests, SteadyTunnels } from '../helpers/lasting-clients.ts';
import { longCase } from '../helpers/long-case.ts';
import { RedisServer } from '../helpers/redis-server.ts';
import { until } from '../helpers/until.ts';

const rounds = 20;
const tunnelsPerInstance = 100;
const clientsPerInstance = 8;

for (const name of ['redis', 'sqlite'] as const) {
  describe(`deploys one after the other, with two instances of two workers under load, on ${name}`, () => {
    let home: HipacheHome;
    let server: RedisServer | null;
    let instances: readonly HipacheProcess[];
    let blue: Application;
    let green: Application;

    before(async () => {
      home = new HipacheHome();
      [blue, green] = [await Application.start('blue'), await Application.start('green')];
      server = name === 'redis' ? await RedisServer.start() : null;
      home.configure({ driver: server?.url ?? home.driver }, { workers: 2 });
      instances = [await home.serve(), await home.serve()];
      await home.route('set', 'a.example', blue.url, '--wait=20');
    });

    after(async () => {
      await home.remove();
      await blue.stop();
      await green.stop();
      await server?.remove();
    });

    it('fail no request, and end tunnels by their Close alone', longCase, async (t) => {
      const requests = instances.map(({ port }) => new SteadyRequests(port, 'a.example', clientsPerInstance));
      const tunnels = instances.map(({ port }) => new SteadyTunnels(port, 'a.example', tunnelsPerInstance));
      await until('all tunnels', () => blue.tunnels === tunnelsPerInstance * instances.length);
      const startMs = performance.now();
      for (let round = 0; round < rounds; round++) {
        const [from, to] = round % 2 === 0 ? [blue, green] : [green, blue];
        const { code, stderr } = await home.runAlone('deploy', 'a.example', to.url, '--health', '/up', '--drain', '3s');
        assert.equal(code, 0, stderr);
        await until('the end of the former tunnels', () => from.tunnels === 0);
        await until('all tunnels', () => to.tunnels === tunnelsPerInstance * instances.length);
      }
      const seconds = (performance.now() - startMs) / 1000;
      for (const clients of [...requests, ...tunnels]) await clients.stop();
      const completed = requests.reduce((sum, clients) => sum + clients.completed, 0);
      const closed = tunnels.flatMap(({ closeCodes }) => closeCodes);
      t.diagnostic(
        `${Math.round(completed / seconds)} requests/s, ${closed.length} tunnels closed by ${[...new Set(closed)]}`,
      );
      for (const { failures } of [...requests, ...tunnels]) assert.deepEqual(failures, []);
      assert.deepEqual(
        closed.filter((code) => code !== 1001 && code !== 1012),
        [],
      );
      assert.equal(closed.length, rounds * tunnelsPerInstance * instances.length);
    });
  });
}
