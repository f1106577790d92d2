import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { longCase } from '../helpers/long-case.ts';
import { OutageRig } from '../helpers/outage-rig.ts';
import { until } from '../helpers/until.ts';
import { type ZooKeeperMember, ZooKeeperServer } from '../helpers/zookeeper-server.ts';

describe('two instances during an outage of ZooKeeper', { timeout: 300_000 }, () => {
  let server: ZooKeeperServer;
  let member: ZooKeeperMember;
  let rig: OutageRig;

  beforeEach(async () => {
    server = await ZooKeeperServer.start(1, 6000);
    member = server.members[0] as ZooKeeperMember;
    rig = await OutageRig.start({ driver: server.url });
  });

  afterEach(async () => {
    await rig.stop();
    await server.remove();
  });

  /** The ids of all sessions that the server has not ended. Its command has none: 0x0. */
  async function sessions(): Promise<string[]> {
    return (await member.ask('dump')).match(/0x[1-9a-f][0-9a-f]*/g) ?? [];
  }

  /** Waits until both instances have their node. */
  async function untilBothKnown(): Promise<void> {
    const { home } = rig.first;
    const instance = /^\S+-[0-9a-f]{8} /gm;
    await until('both instances', async () => (await home.run('fleet')).stdout.match(instance)?.length === 2);
  }

  it('killed and restarted', async () => {
    await member.stop();
    await rig.untilConnected(0);
    await rig.assertServing();
    member.start();
    await member.ready();
    await rig.change('app0.example');
    await rig.assertRecovered('app0.example');
  });

  it('whose sessions end while it hangs', async () => {
    await untilBothKnown();
    const former = await sessions();
    assert.ok(former.length >= 2, 'each instance has a node in its session');
    member.signal('SIGSTOP');
    await rig.untilConnected(0);
    await rig.assertServing();
    member.signal('SIGCONT');
    await until(
      'the end of the former sessions',
      async () => {
        const now = await sessions();
        return now.length > 0 && !now.some((id) => former.includes(id));
      },
      60_000,
    );
    // The nodes of the instances have ended with their sessions, and come back.
    await untilBothKnown();
    assert.match(
      await rig.first.home.route('set', 'app1.example', rig.two.url, '--wait=30'),
      /live on 2 instances, 4 workers/,
    );
    await rig.assertRecovered('app1.example');
  });

  it('hung for a minute', longCase, async () => {
    member.signal('SIGSTOP');
    await rig.untilConnected(0);
    await rig.assertServingFor(60_000);
    member.signal('SIGCONT');
    await rig.untilConnected(1);
    await rig.change('app1.example');
    await rig.assertRecovered('app1.example');
  });
});
