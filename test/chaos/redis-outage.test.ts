import assert from 'node:assert/strict';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { longCase } from '../helpers/long-case.ts';
import { OutageRig } from '../helpers/outage-rig.ts';
import { RedisServer } from '../helpers/redis-server.ts';
import { until } from '../helpers/until.ts';

describe('two instances during a Redis outage', { timeout: 300_000 }, () => {
  let server: RedisServer;
  let rig: OutageRig;

  beforeEach(async () => {
    server = await RedisServer.start({
      config: ['requirepass secret', 'appendonly yes', 'appendfsync always'],
      cli: ['-a', 'secret', '--no-auth-warning'],
    });
    rig = await OutageRig.start({ driver: `redis://:secret@127.0.0.1:${server.port}`, hosts: 200 });
  });

  afterEach(async () => {
    await rig.stop();
    await server.remove();
  });

  it('killed and restarted', async () => {
    await server.kill();
    await rig.untilConnected(0);
    await rig.assertServing();
    await server.start();
    await server.cli('lset', 'frontend:app0.example', '1', rig.two.url);
    await rig.assertRecovered('app0.example');
  });

  /** @param meanwhile checks while it hangs. */
  async function hang(meanwhile: () => Promise<void>): Promise<void> {
    server.freeze();
    // Written while it hangs: the server finds this first when it resumes.
    const changed = server.cli('lset', 'frontend:app1.example', '1', rig.two.url);
    await rig.untilConnected(0);
    await meanwhile();
    server.thaw();
    await changed;
    await rig.assertRecovered('app1.example');
  }

  it('hung and resumed', () => hang(() => rig.assertServing()));

  it('hung for a minute and resumed', longCase, () => hang(() => rig.assertServingFor(60_000)));

  it('replying after up to two seconds, for six', async () => {
    const pauses = (async () => {
      for (let count = 0; count < 3; count++) await server.cli('client', 'pause', '2000', 'all');
    })();
    await rig.assertServing();
    // A change takes as long as the server does, and no connection is given up for it.
    await server.cli('lset', 'frontend:app3.example', '1', rig.two.url);
    await pauses;
    for (const { proxy } of rig.instances) assert.doesNotMatch(proxy.output, /the connection to the store is lost/);
    await rig.assertRecovered('app3.example');
  });

  it('killed, and restored from an older backup', async () => {
    const data = join(server.directory, 'appendonlydir');
    const backup = join(server.directory, 'backup');
    const [host = '', ...others] = rig.hosts;
    const { home } = rig.first;
    cpSync(data, backup, { recursive: true });
    for (let count = 0; count < 5; count++) await home.route('set', host, rig.two.url, '--wait=30');
    await server.kill();
    await rig.untilConnected(0);
    await rig.assertServing(others);
    rmSync(data, { recursive: true });
    cpSync(backup, data, { recursive: true });
    await server.start();
    for (const { clients } of rig.instances) await clients.untilAll(host, 'one');
    // The revisions count from an earlier one; what is written counts all the same.
    assert.match(await home.route('set', host, rig.two.url, '--wait=30'), /live on 2 instances, 4 workers/);
    for (const { clients } of rig.instances) assert.deepEqual(await clients.bodies(host), ['two', 'two']);
    await rig.assertRecovered(host);
  });

  it('refusing the password, then accepting it again', async () => {
    await server.cli('config', 'set', 'requirepass', 'other');
    await server.cli('-a', 'other', 'client', 'kill', 'type', 'normal', 'skipme', 'yes');
    await rig.untilConnected(0);
    await until('the logs to say why', () =>
      rig.instances.every(({ proxy }) => /refuses the .*password/.test(proxy.output)),
    );
    await server.cli('-a', 'other', 'lset', 'frontend:app2.example', '1', rig.two.url);
    await rig.assertServing();
    await server.cli('-a', 'other', 'config', 'set', 'requirepass', 'secret');
    await rig.assertRecovered('app2.example');
  });
});
