import { afterEach, beforeEach, describe, it } from 'node:test';
import { longCase } from '../helpers/long-case.ts';
import { MemcachedServer } from '../helpers/memcached-server.ts';
import { OutageRig } from '../helpers/outage-rig.ts';

describe('two instances during an outage of memcached', { timeout: 300_000 }, () => {
  let server: MemcachedServer;
  let rig: OutageRig;

  beforeEach(async () => {
    server = await MemcachedServer.start();
    rig = await OutageRig.start({ driver: server.url });
  });

  afterEach(async () => {
    await rig.stop();
    await server.stop();
  });

  it('killed, and restarted empty: routes are gone until they are written again, tunnels are not', async () => {
    await server.stop();
    await rig.untilConnected(0);
    await rig.assertServing();
    // From here on, requests without a route are right.
    for (const { load } of rig.instances) await load.stop();
    await server.start();
    await rig.untilConnected(1);
    for (const { clients } of rig.instances) await clients.untilAll('app0.example', 'HTTP/1.1 400');
    await rig.fill();
    for (const { clients } of rig.instances) for (const host of rig.hosts) await clients.untilAll(host, 'one');
    await rig.change('app1.example');
    await rig.assertRecovered('app1.example');
  });

  it('hung for a minute and resumed', longCase, async () => {
    server.signal('SIGSTOP');
    await rig.untilConnected(0);
    await rig.assertServingFor(60_000);
    server.signal('SIGCONT');
    await rig.change('app2.example');
    await rig.assertRecovered('app2.example');
  });
});
