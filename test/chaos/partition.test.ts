import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { BusyInstance } from '../helpers/busy-instance.ts';
import { EtcdServer } from '../helpers/etcd-server.ts';
import { OutageRig } from '../helpers/outage-rig.ts';
import { privilegedCase } from '../helpers/privileged-case.ts';
import { RedisServer } from '../helpers/redis-server.ts';
import { RemoteMachine } from '../helpers/remote-machine.ts';
import { until } from '../helpers/until.ts';

interface RemoteStore {
  /** Its URL at one of the addresses of its machine. */
  driver(address: string): string;
  /** Moves a host to another backend, from where the store is. */
  change(host: string, backend: string): Promise<void>;
  stop(): Promise<void>;
}

const stores: Readonly<Record<string, (machine: RemoteMachine) => Promise<RemoteStore>>> = {
  async Redis(machine) {
    const server = await RedisServer.start({ machine });
    return {
      driver: (address) => `redis://${address}:${server.port}`,
      change: async (host, backend) => void (await server.cli('lset', `frontend:${host}`, '1', backend)),
      stop: () => server.remove(),
    };
  },
  async etcd(machine) {
    const server = await EtcdServer.start({ machine });
    return {
      driver: (address) => `etcd://${address}:${server.members[0]?.port}`,
      change: async (host, backend) =>
        void (await server.ctl('put', `/frontend:${host}`, JSON.stringify([host, backend]))),
      stop: () => server.remove(),
    };
  },
};

/** The first instance and the commands reach the store at one of its addresses, the second instance at another one. */
for (const [name, start] of Object.entries(stores)) {
  describe(`two instances whose network to ${name} drops everything`, { timeout: 300_000, ...privilegedCase }, () => {
    let machine: RemoteMachine;
    let store: RemoteStore;
    let rig: OutageRig;
    let near: string;
    let far: string;

    beforeEach(async () => {
      machine = await RemoteMachine.start();
      [near, far] = machine.addresses as [string, string];
      store = await start(machine);
      const drivers = [store.driver(near), store.driver(far)] as const;
      rig = await OutageRig.start({ driver: drivers[0], drivers });
    });

    afterEach(async () => {
      await rig.stop();
      await store.stop();
      await machine.remove();
    });

    /** The ids of the instances that the store knows. */
    async function fleet(): Promise<{ instance: string; isCurrent: boolean }[]> {
      return JSON.parse((await rig.first.home.run('fleet', '--json')).stdout).instances;
    }

    it('at one of them: the other one follows, and commands name the one that is cut off', async () => {
      const [here, there] = rig.instances as [BusyInstance, BusyInstance];
      await until('both in the fleet', async () => (await fleet()).filter(({ isCurrent }) => isCurrent).length === 2);
      await machine.cut(far);
      await there.untilConnected(0);
      const { code, stderr } = await here.home.run('route', 'set', 'app0.example', rig.two.url, '--wait=3');
      assert.equal(code, 4, stderr);
      const [behind, ...others] = (await fleet()).filter(({ isCurrent }) => !isCurrent);
      assert.ok(behind !== undefined && others.length === 0);
      const named = / it is not live on 1 of 2 instances: (\S+) \((serves up to|silent)/.exec(stderr)?.[1];
      assert.equal(named, behind.instance);
      assert.match((await here.home.run('fleet')).stdout, /1 of 2 instances do not serve it yet/);
      assert.deepEqual(await here.clients.bodies('app0.example'), ['two', 'two']);
      assert.deepEqual(await there.clients.bodies('app0.example'), ['one', 'one']);
      await rig.assertServing(rig.hosts.slice(1));
      await machine.join(far);
      await rig.untilChanged('app0.example');
      assert.match(await here.home.route('set', 'app1.example', rig.two.url, '--wait=30'), /live on 2 instances/);
      await rig.assertRecovered('app0.example', 'app1.example');
    });

    it('at both: what others change meanwhile is served when it is over', async () => {
      await machine.cut(near);
      await machine.cut(far);
      await store.change('app0.example', rig.two.url);
      await rig.untilConnected(0);
      await rig.assertServing();
      const { code, stderr } = await rig.first.home.run('route', 'set', 'app2.example', rig.two.url);
      assert.equal(code, 1, stderr);
      await machine.join(near);
      await machine.join(far);
      await store.change('app1.example', rig.two.url);
      await rig.assertRecovered('app0.example', 'app1.example');
    });
  });
}
