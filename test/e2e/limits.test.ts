import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { ask } from '../helpers/http-client.ts';
import { fleetStores } from '../helpers/long-case.ts';
import { metricsUrl, untilSeries } from '../helpers/metrics.ts';
import { RedisServer } from '../helpers/redis-server.ts';

for (const name of fleetStores) {
  describe(`a rate of requests, with two instances of two workers on ${name}`, () => {
    let home: HipacheHome;
    let server: RedisServer | null;
    let instances: readonly HipacheProcess[];
    let backend: HttpBackend;

    before(async () => {
      home = new HipacheHome();
      server = name === 'redis' ? await RedisServer.start() : null;
      backend = await HttpBackend.start('backend');
      const driver = server?.url ?? home.driver;
      home.configure({ driver, metrics: { port: 0 } }, { workers: 2, trustedProxies: ['127.0.0.1'] });
      instances = [await home.serve(), await home.serve()];
      await home.route('set', 'a.example', backend.url, '--wait=20');
      await home.route('set', 'quiet.example', backend.url, '--wait=20');
      for (const { output } of instances) {
        await untilSeries(metricsUrl(output), 'hipache_fleet_instances', (count) => count === 2);
      }
    });

    after(async () => {
      await home.remove();
      await backend.stop();
      await server?.remove();
    });

    /** Asks all instances in turn, on new connections, for a while. @returns how many requests were served, and how long. */
    async function flood(client: string, forMs: number): Promise<{ served: number; seconds: number }> {
      const startMs = performance.now();
      let served = 0;
      const ends = async (port: number): Promise<void> => {
        while (performance.now() - startMs < forMs) {
          const { status } = await ask(port, 'a.example', { headers: { 'x-forwarded-for': client } });
          if (status === 200) served++;
          else assert.equal(status, 429);
        }
      };
      await Promise.all(instances.flatMap(({ port }) => [ends(port), ends(port), ends(port)]));
      return { served, seconds: (performance.now() - startMs) / 1000 };
    }

    it('is that of the whole fleet', async () => {
      const result = await home.run('option', 'set', 'a.example', 'rate', '40/s', 'rateBurst', '20', '--wait=20');
      assert.equal(result.code, 0, result.stderr);
      const { seconds, served } = await flood('192.0.2.1', 5000);
      const allowed = 20 + 40 * seconds;
      assert.ok(Math.abs(served / allowed - 1) < 0.1, `${served} served, ${allowed.toFixed(0)} allowed`);
    });

    it('leaves other clients and other hosts alone', async () => {
      const flooding = flood('192.0.2.1', 1500);
      for (const { port } of instances) {
        const other = await ask(port, 'a.example', { headers: { 'x-forwarded-for': '192.0.2.9' } });
        assert.deepEqual([other.status, (await ask(port, 'quiet.example')).status], [200, 200]);
      }
      await flooding;
    });

    it('grows for the others when an instance leaves', async () => {
      const [first, second] = instances as [HipacheProcess, HipacheProcess];
      second.signal('SIGTERM');
      await second.ended();
      instances = [first];
      await untilSeries(metricsUrl(first.output), 'hipache_fleet_instances', (count) => count === 1);
      const { seconds, served } = await flood('192.0.2.2', 4000);
      const allowed = 20 + 40 * seconds;
      assert.ok(Math.abs(served / allowed - 1) < 0.1, `${served} served, ${allowed.toFixed(0)} allowed`);
    });
  });
}
