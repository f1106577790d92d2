import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { longCase } from '../helpers/long-case.ts';
import { OutageRig } from '../helpers/outage-rig.ts';
import { RedisGroup } from '../helpers/redis-group.ts';
import type { RedisServer } from '../helpers/redis-server.ts';
import { until } from '../helpers/until.ts';

describe('two instances during a fail-over of Redis with sentinels', { timeout: 300_000 }, () => {
  let group: RedisGroup;
  let rig: OutageRig;
  let primary: RedisServer;
  let replica: RedisServer;

  beforeEach(async () => {
    group = await RedisGroup.start();
    rig = await OutageRig.start({ driver: group.url });
    primary = await group.primary();
    replica = group.servers.find((server) => server !== primary) as RedisServer;
    await primary.cli('wait', '1', '10000');
  });

  afterEach(async () => {
    await rig.stop();
    await group.remove();
  });

  async function untilReplaced(): Promise<void> {
    await until('another primary', async () => (await group.primary()) === replica, 40_000);
    await until('it to take over', async () => (await replica.cli('role')).startsWith('master'));
  }

  it('whose primary is killed', async () => {
    await primary.kill();
    await rig.assertServing();
    await untilReplaced();
    await replica.cli('lset', 'frontend:app0.example', '1', rig.two.url);
    await rig.assertRecovered('app0.example');
  });

  it('whose primary hangs, and comes back as a replica', longCase, async () => {
    primary.freeze();
    await rig.assertServing();
    await untilReplaced();
    await replica.cli('lset', 'frontend:app0.example', '1', rig.two.url);
    await rig.untilChanged('app0.example');
    primary.thaw();
    await until('the former primary to follow', async () => (await primary.cli('role')).startsWith('slave'), 40_000);
    assert.deepEqual(await primary.cli('lrange', 'frontend:app0.example', '1', '1'), rig.two.url);
    await rig.assertRecovered('app0.example');
  });

  it('whose new primary has not received the last changes: what it has is served', async () => {
    const lost = ['app1.example', 'app2.example'];
    // The replica can neither receive changes nor connect again.
    replica.freeze();
    await primary.cli('client', 'kill', 'type', 'replica');
    for (const host of lost) await primary.cli('lset', `frontend:${host}`, '1', rig.two.url);
    await rig.untilChanged(...lost);
    await primary.kill();
    replica.thaw();
    await untilReplaced();
    for (const { clients } of rig.instances) for (const host of lost) await clients.untilAll(host, 'one');
    await replica.cli('lset', 'frontend:app0.example', '1', rig.two.url);
    await rig.assertServing(rig.hosts.slice(1));
    await rig.assertRecovered('app0.example');
  });
});
