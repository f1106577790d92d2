import { afterEach, beforeEach, describe, it } from 'node:test';
import { OutageRig } from '../helpers/outage-rig.ts';
import { RedisServer } from '../helpers/redis-server.ts';
import { until } from '../helpers/until.ts';
import { isRunning, workerPids } from '../helpers/workers.ts';

describe('two instances whose Redis gets another password', { timeout: 300_000 }, () => {
  let server: RedisServer;
  let rig: OutageRig;

  beforeEach(async () => {
    server = await RedisServer.start({ config: ['requirepass former'], cli: ['-a', 'former', '--no-auth-warning'] });
    rig = await OutageRig.start({ driver: urlWith('former'), server: { drainSeconds: 2 } });
    await server.cli('config', 'set', 'requirepass', 'new');
    await server.cli('-a', 'new', 'client', 'kill', 'type', 'normal', 'skipme', 'yes');
    await rig.untilConnected(0);
    await until('the logs to say why', () =>
      rig.instances.every(({ proxy }) => /refuses the .*password/.test(proxy.output)),
    );
    await server.cli('-a', 'new', 'lset', 'frontend:app0.example', '1', rig.two.url);
    await rig.assertServing();
    rig.driver = urlWith('new');
    for (const instance of rig.instances) instance.configure({ driver: rig.driver });
  });

  afterEach(async () => {
    await rig.stop();
    await server.remove();
  });

  function urlWith(password: string): string {
    return `redis://:${password}@127.0.0.1:${server.port}`;
  }

  it('use it after SIGHUP', async () => {
    for (const { proxy } of rig.instances) {
      const before = workerPids(proxy.pid);
      proxy.signal('SIGHUP');
      await until('the end of the former workers', () => {
        const pids = workerPids(proxy.pid);
        return pids.length === before.length && !pids.some((pid) => before.includes(pid));
      });
    }
    for (const instance of rig.instances) await instance.reconnect();
    await rig.assertRecovered('app0.example');
  });

  it('use it after an upgrade', async () => {
    for (const { proxy } of rig.instances) {
      const former = proxy.primaries.at(-1) as number;
      await proxy.upgrade();
      await until('the end of the former program', () => !isRunning(former));
    }
    for (const instance of rig.instances) await instance.reconnect();
    await rig.assertRecovered('app0.example');
  });
});
