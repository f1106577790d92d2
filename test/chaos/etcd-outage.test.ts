import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { EtcdServer } from '../helpers/etcd-server.ts';
import { longCase } from '../helpers/long-case.ts';
import { OutageRig } from '../helpers/outage-rig.ts';
import { privilegedCase } from '../helpers/privileged-case.ts';
import { RemoteMachine } from '../helpers/remote-machine.ts';
import { until } from '../helpers/until.ts';

describe('two instances during an outage of etcd', { timeout: 300_000 }, () => {
  let server: EtcdServer;
  let rig: OutageRig;

  beforeEach(async () => {
    server = await EtcdServer.start({ members: 3 });
    rig = await OutageRig.start({ driver: server.urls });
  });

  afterEach(async () => {
    await rig.stop();
    await server.remove();
  });

  /** Moves a host to the backend "two", as another program does. */
  async function change(host: string): Promise<void> {
    await server.ctl('put', `/frontend:${host}`, JSON.stringify([host, rig.two.url]));
  }

  /** Waits until every worker has lost the store since the start. */
  async function untilLost(): Promise<void> {
    await until('the loss of the store', () =>
      rig.instances.every(({ proxy }) => (proxy.output.match(/the connection to the store is lost/g) ?? []).length > 1),
    );
  }

  it('whose member in use is killed', async () => {
    // All use the first one until it fails.
    await server.members[0]?.stop();
    await untilLost();
    await rig.assertServing();
    await change('app0.example');
    await rig.assertRecovered('app0.example');
  });

  it('whose members are all killed, and started again', async () => {
    for (const member of server.members) await member.stop();
    await rig.untilConnected(0);
    await rig.assertServing();
    for (const member of server.members) member.start(server.cluster);
    for (const member of server.members) await member.ready();
    await change('app0.example');
    await rig.assertRecovered('app0.example');
  });

  /** @param meanwhile checks while they hang. */
  async function hang(meanwhile: () => Promise<void>): Promise<void> {
    for (const member of server.members) member.signal('SIGSTOP');
    await rig.untilConnected(0);
    await meanwhile();
    for (const member of server.members) member.signal('SIGCONT');
    await change('app1.example');
    await rig.assertRecovered('app1.example');
  }

  it('whose members all hang', () => hang(() => rig.assertServing()));

  it('whose members all hang for a minute', longCase, () => hang(() => rig.assertServingFor(60_000)));
});

describe('two instances that are cut off from etcd', { timeout: 300_000, ...privilegedCase }, () => {
  it('follow it again when it has compacted what was changed meanwhile', async (t) => {
    const machine = await RemoteMachine.start();
    t.after(() => machine.remove());
    const server = await EtcdServer.start({ members: 3, machine });
    t.after(() => server.remove());
    const [address = ''] = machine.addresses;
    const rig = await OutageRig.start({ driver: server.members.map(({ port }) => `etcd://${address}:${port}`) });
    t.after(() => rig.stop());
    const put = (host: string, url: string) => server.ctl('put', `/frontend:${host}`, JSON.stringify([host, url]));
    await machine.cut(address);
    await rig.untilConnected(0);
    for (let count = 0; count < 5; count++) await put('app2.example', `http://127.0.0.1:${count + 1}`);
    for (const host of ['app2.example', 'app3.example']) await put(host, rig.two.url);
    const status = await server.ctl('get', '/frontend:app3.example', '--write-out=fields');
    await server.ctl('compact', '--physical', /"Revision" : (\d+)/.exec(status)?.[1] ?? '');
    await assert.rejects(server.ctl('get', '/frontend:app2.example', '--rev=1'), /has been compacted/);
    await rig.assertServing();
    await machine.join(address);
    await rig.assertRecovered('app2.example', 'app3.example');
  });
});
