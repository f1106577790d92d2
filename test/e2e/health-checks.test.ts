import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { ask } from '../helpers/http-client.ts';
import { fleetStores } from '../helpers/long-case.ts';
import { metricsUrl, scrape, untilSeries } from '../helpers/metrics.ts';
import { RedisServer } from '../helpers/redis-server.ts';
import { socketOwner } from '../helpers/socket-handler.ts';
import { until } from '../helpers/until.ts';

/** A backend whose health the test decides, and the processes that have asked for it. */
interface CheckedBackend {
  readonly backend: HttpBackend;
  isWell: boolean;
  /** Where its checks are redirected to; empty: they are not. */
  redirectsTo: string;
  /** Process ids, in the order of the checks. */
  readonly checkedBy: (number | null)[];
  /** Requests of clients. */
  served: number;
  /** Whether it resets their connections. */
  resets: boolean;
  /** Requests of Hipache for another path than that of the checks. */
  probed: number;
  /** Every path that anybody has asked for. */
  readonly paths: Set<string | undefined>;
}

for (const name of fleetStores) {
  describe(`health checks of two instances with two workers each, on ${name}`, () => {
    let home: HipacheHome;
    let server: RedisServer | null;
    let instances: readonly HipacheProcess[] = [];
    let one: CheckedBackend;
    let two: CheckedBackend;

    beforeEach(async () => {
      home = new HipacheHome();
      server = name === 'redis' ? await RedisServer.start() : null;
      one = await checkedBackend('one');
      two = await checkedBackend('two');
      home.configure(
        { driver: server?.url ?? home.driver, metrics: { port: 0 } },
        { workers: 2, recoveryProbeSeconds: 0.2, deadBackendTTL: 60 },
      );
      instances = [await home.serve(), await home.serve()];
      await home.route('set', 'a.example', one.backend.url, two.backend.url);
    });

    afterEach(async () => {
      await home.remove();
      await one.backend.stop();
      await two.backend.stop();
      await server?.remove();
    });

    async function checkedBackend(body: string): Promise<CheckedBackend> {
      const backend = await HttpBackend.start(body, (request, response) => {
        state.paths.add(request.url);
        if (request.url === '/up') {
          const pids = instances.map(({ pid }) => pid);
          const { remotePort = 0, localPort = 0 } = request.socket;
          state.checkedBy.push(socketOwner(pids, remotePort, localPort));
          response.statusCode = state.isWell ? 200 : 503;
          if (state.redirectsTo !== '') response.writeHead(302, { location: state.redirectsTo });
        } else if (/^hipache-probe/.test(request.headers['user-agent'] ?? '')) state.probed++;
        else {
          state.served++;
          if (state.resets) {
            request.socket.destroy();
            return;
          }
        }
        response.end(body);
      });
      const state: CheckedBackend = {
        ...{ backend, isWell: true, redirectsTo: '', checkedBy: [], paths: new Set() },
        ...{ served: 0, resets: false, probed: 0 },
      };
      return state;
    }

    const option = async (...args: string[]) => {
      const result = await home.run('option', ...args, '--wait=20');
      assert.equal(result.code, 0, result.stderr);
    };

    const check = (...args: string[]) =>
      option('set', 'a.example', 'healthPath', '/up', 'healthInterval', '1s', ...args);

    const explain = async () => (await home.run('explain', 'a.example')).stdout;

    async function askAll(): Promise<string[]> {
      const bodies: string[] = [];
      for (const { port } of instances) {
        for (let i = 0; i < 15; i++) bodies.push((await ask(port, 'a.example')).body);
      }
      return bodies;
    }

    /** Each backend is checked by the same process again and again. */
    async function untilOneChecksEach(): Promise<void> {
      await until(
        'one instance to check each backend',
        async () => {
          await askAll();
          return [one, two].every(({ checkedBy }) => checkedBy.length > 6 && new Set(checkedBy.slice(-6)).size === 1);
        },
        60_000,
      );
    }

    it('take a failing backend out of use on every instance, and put it back', async () => {
      await check();
      await askAll();
      await until('checks', () => one.checkedBy.length > 0 && two.checkedBy.length > 0);
      assert.deepEqual(new Set(await askAll()), new Set(['one', 'two']));
      one.isWell = false;
      await until('no request for it', async () => !(await askAll()).includes('one'));
      const { served } = one;
      await askAll();
      assert.equal(served, one.served);
      assert.match(await explain(), /dead until .*: health check: status 503, marked by /);
      two.isWell = false;
      await until(
        'the mark of the last one',
        async () => (await explain()).split('health check: status 503').length === 3,
      );
      assert.ok(
        (await askAll()).every((body) => body !== ''),
        'the one marked longest ago still gets requests',
      );
      one.isWell = true;
      two.isWell = true;
      await until('requests for both', async () => new Set(await askAll()).size === 2);
      await until('no mark', async () => !(await explain()).includes('dead until'));
      const log = instances.map(({ output }) => output).join('');
      const line = `a backend fails its health check host=a.example backend=${one.backend.url} reason="health check: status 503"`;
      assert.ok(log.includes(line), log);
      assert.ok(log.includes(`a backend passes its health check again host=a.example backend=${one.backend.url}`));
    });

    it('are made by one instance for each backend, and by the other when it stops', async () => {
      await check();
      await untilOneChecksEach();
      const [first, second] = instances as [HipacheProcess, HipacheProcess];
      const owner = one.checkedBy.at(-1) === first.pid ? first : second;
      const other = owner === first ? second : first;
      assert.equal(one.checkedBy.at(-1), owner.pid);
      const before = await checkers();
      assert.equal(new Set(before).size, one.checkedBy.at(-1) === two.checkedBy.at(-1) ? 1 : 2);
      assert.ok(
        (await explain()).includes(`by ${before[0]}`) || (await explain()).includes(`by instance ${before[0]}`),
      );
      const figures = await Promise.all(
        instances.map(async ({ output }) => (await scrape(metricsUrl(output))).get('hipache_backends_checked')),
      );
      assert.equal(
        figures.reduce<number>((sum, value) => sum + (value ?? Number.NaN), 0),
        2,
      );
      owner.signal('SIGTERM');
      await owner.ended();
      const isOther = ({ checkedBy }: CheckedBackend): boolean => checkedBy.at(-1) === other.pid;
      await until('the other to check both', () => isOther(one) && isOther(two), 60_000);
      await untilSeries(metricsUrl(other.output), 'hipache_backends_checked', (value) => value === 2);
      const [now = null] = await checkers();
      assert.notEqual(now, before[0]);
      assert.match(await explain(), new RegExp(`health +GET /up every 1s, by instance ${now}\n`));
      instances = [other];
      one.isWell = false;
      await until('its mark', async () => !(await askAll()).includes('one'));
    });

    it('fail if the path redirects, and nobody asks for its target', async () => {
      await check('healthDown', '1');
      await askAll();
      await until('checks', () => one.checkedBy.length > 0 && two.checkedBy.length > 0);
      one.redirectsTo = '/login';
      two.redirectsTo = `${one.backend.url}/login`;
      const reason = (to: string) => `health check: status 302 to ${to}, which is not followed, marked by `;
      await until('both marks', async () => {
        const text = await explain();
        return [one, two].every(({ redirectsTo }) => text.includes(reason(redirectsTo)));
      });
      const lengths = [one, two].map(({ checkedBy }) => checkedBy.length);
      await until('further checks', () =>
        [one, two].every(({ checkedBy }, i) => checkedBy.length > (lengths[i] ?? 0) + 1),
      );
      await askAll();
      for (const { paths } of [one, two]) assert.deepEqual([...paths].sort(), ['/', '/up']);
      one.redirectsTo = '';
      await until('requests for the one that is well', async () => (await askAll()).every((body) => body === 'one'));
      assert.deepEqual([...one.paths].sort(), ['/', '/up']);
    });

    it('end with the option, and so do their marks', async () => {
      await check('healthDown', '1', 'healthText', 'one');
      await until('the mark of the backend without the text', async () => !(await askAll()).includes('two'));
      assert.match(await explain(), /health check: text not found/);
      await option('unset', 'a.example', '--all');
      await until('requests for both', async () => (await askAll()).includes('two'));
      for (const { output } of instances) {
        await untilSeries(metricsUrl(output), 'hipache_backends_checked', (value) => value === 0);
      }
    });

    it('decide on the marks of the traffic, in place of the probes', async () => {
      await check('healthDown', '100');
      await askAll();
      await until('checks', () => one.checkedBy.length > 0 && two.checkedBy.length > 0);
      one.isWell = false;
      one.resets = true;
      await until('a mark of the traffic', async () => !(await askAll()).includes('one'));
      one.resets = false;
      const { length } = one.checkedBy;
      // Twenty times as long as a probe would take.
      await until('further checks', () => one.checkedBy.length > length + 4);
      assert.match(await explain(), /dead until .*: BACKEND_RESET, marked by /);
      assert.equal(one.probed, 0);
      one.isWell = true;
      await until('requests for it', async () => (await askAll()).includes('one'));
      assert.equal(one.probed, 0);
    });

    /** The instance that checks each backend. */
    async function checkers(): Promise<readonly (string | null)[]> {
      const { stdout } = await home.run('explain', 'a.example', '--json');
      const { health } = JSON.parse(stdout) as { health: { checkers: { instance: string | null }[] } };
      return health.checkers.map(({ instance }) => instance);
    }
  });
}
