import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { OutageRig } from '../helpers/outage-rig.ts';
import { RedisServer } from '../helpers/redis-server.ts';
import { until } from '../helpers/until.ts';

const warning = /maxmemory-policy is allkeys-random, with which it removes routes/;

describe('two instances on a Redis with maxmemory', { timeout: 300_000 }, () => {
  let server: RedisServer;
  let rig: OutageRig;

  beforeEach(async () => {
    server = await RedisServer.start({ config: ['maxmemory 100mb', 'maxmemory-policy allkeys-random'] });
    rig = await OutageRig.start({ driver: server.url });
  });

  afterEach(async () => {
    await rig.stop();
    await server.remove();
  });

  async function evicted(): Promise<number> {
    return Number(/evicted_keys:(\d+)/.exec(await server.cli('info', 'stats'))?.[1]);
  }

  it('that removes keys: the log has warned, removed hosts have no route until they are written, the others go on', async () => {
    for (const { proxy } of rig.instances) await until('the warning', () => warning.test(proxy.output));
    // From here on, requests without a route are right.
    for (const { load } of rig.instances) await load.stop();
    await server.cli('config', 'set', 'maxmemory', '1');
    await until('routes to be removed', async () => {
      await server.cli('set', 'other', 'x').catch(() => {});
      return (await evicted()) > rig.hosts.length / 2;
    });
    await server.cli('config', 'set', 'maxmemory', '100mb');
    for (const host of rig.hosts) {
      const isThere = (await server.cli('exists', `frontend:${host}`)) === '1';
      for (const { clients } of rig.instances) await clients.untilAll(host, isThere ? 'one' : 'HTTP/1.1 400');
    }
    await rig.fill();
    for (const { clients } of rig.instances) for (const host of rig.hosts) await clients.untilAll(host, 'one');
    await rig.assertRecovered();
  });

  it('that refuses writes instead: everything is served, and nobody is warned', async () => {
    await server.cli('config', 'set', 'maxmemory-policy', 'noeviction');
    const connections = (output: string): number => output.split('connected to the store').length - 1;
    const before = rig.instances.map(({ proxy }) => connections(proxy.output));
    await server.cli('client', 'kill', 'type', 'normal', 'skipme', 'yes');
    await until('new connections', () =>
      rig.instances.every(({ proxy }, index) => connections(proxy.output) >= (before[index] ?? 0) + 2),
    );
    const warned = rig.instances.map(({ proxy }) => proxy.output.split('maxmemory-policy').length);
    await server.cli('config', 'set', 'maxmemory', '1');
    const { code, stderr } = await rig.first.home.run('route', 'set', 'app0.example', rig.two.url);
    assert.equal(code, 1);
    assert.match(stderr, /its maxmemory is used up; the change was not made/);
    await rig.assertServing();
    await server.cli('config', 'set', 'maxmemory', '100mb');
    await rig.change('app0.example');
    await rig.assertRecovered('app0.example');
    assert.deepEqual(
      rig.instances.map(({ proxy }) => proxy.output.split('maxmemory-policy').length),
      warned,
    );
  });
});
