import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { EtcdServer } from '../helpers/etcd-server.ts';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { ask } from '../helpers/http-client.ts';
import { MemcachedServer } from '../helpers/memcached-server.ts';
import { RedisServer } from '../helpers/redis-server.ts';
import { until } from '../helpers/until.ts';
import { workerPids } from '../helpers/workers.ts';
import { ZooKeeperServer } from '../helpers/zookeeper-server.ts';

interface StoreServer {
  readonly driver: string | readonly string[];
  stop(): Promise<void>;
}

const servers: Readonly<Record<string, (home: HipacheHome) => Promise<StoreServer>>> = {
  async redis() {
    const server = await RedisServer.start();
    return { driver: server.url, stop: () => server.remove() };
  },
  async etcd() {
    const server = await EtcdServer.start();
    return { driver: server.urls, stop: () => server.remove() };
  },
  async zookeeper() {
    const server = await ZooKeeperServer.start();
    return { driver: server.url, stop: () => server.remove() };
  },
  async sqlite(home) {
    return { driver: home.driver, stop: async () => {} };
  },
};

for (const [name, start] of Object.entries(servers)) {
  describe(`two instances of two workers on ${name}`, () => {
    let home: HipacheHome;
    let server: StoreServer;
    let backends: readonly [HttpBackend, HttpBackend];
    let instances: readonly HipacheProcess[];

    beforeEach(async () => {
      home = new HipacheHome();
      server = await start(home);
      backends = [await HttpBackend.start('one'), await HttpBackend.start('two')];
      home.configure({ driver: server.driver }, { workers: 2 });
      instances = [await home.serve(), await home.serve()];
      await until('both instances in the fleet', async () => (await fleet()).instances.length === 2);
    });

    afterEach(async () => {
      await home.remove();
      await server.stop();
      for (const backend of backends) await backend.stop();
    });

    async function fleet(): Promise<{
      revision: number;
      instances: { instance: string; revision: number; workers: unknown[]; isCurrent: boolean }[];
    }> {
      return JSON.parse((await home.run('fleet', '--json')).stdout);
    }

    it('serve a change on every worker when the command that waits for it ends', async () => {
      for (let turn = 0; turn < 6; turn++) {
        const { url } = backends[turn % 2] as HttpBackend;
        const { code, stdout, stderr } = await home.run('route', 'set', 'a.example', url, '--wait=20');
        assert.equal(code, 0, stderr);
        assert.match(stdout, /; live on 2 instances, 4 workers, after \d+ ms\n$/);
        for (let count = 0; count < 10; count++) {
          for (const { port } of instances) {
            assert.equal((await ask(port, 'a.example')).body, turn % 2 === 0 ? 'one' : 'two');
          }
        }
      }
      const { revision, instances: listed } = await fleet();
      assert.ok(revision > 0);
      for (const one of listed)
        assert.deepEqual([one.revision, one.workers.length, one.isCurrent], [revision, 2, true]);
      assert.match((await home.run('fleet')).stdout, /all instances serve it\n$/);
    });

    it('serve all changes of a file when the command that applies and waits for them ends', async () => {
      const lines = ['b.example', 'c.example'].map((set, i) => JSON.stringify({ set, backends: [backends[i]?.url] }));
      const file = home.path('changes.jsonl');
      writeFileSync(file, lines.join('\n'));
      const { code, stdout, stderr } = await home.run('route', 'apply', file, '--wait=20');
      assert.equal(code, 0, stderr);
      assert.match(stdout, /2 changes made; live on 2 instances, 4 workers, after \d+ ms\n$/);
      for (const { port } of instances) {
        assert.equal((await ask(port, 'b.example')).body, 'one');
        assert.equal((await ask(port, 'c.example')).body, 'two');
      }
    });

    it('no longer serve a route once it has expired', async () => {
      const statuses = async () => {
        const asked = Array.from({ length: 10 }, () =>
          instances.map(async ({ port }) => (await ask(port, 'd.example')).status),
        );
        return Promise.all(asked.flat());
      };
      const all = async (status: number) => (await statuses()).every((one) => one === status);
      await home.route('set', 'd.example', backends[0].url, '--wait=20');
      assert.ok(await all(200));
      const setMs = Date.now();
      const { code, stderr } = await home.run('route', 'set', 'd.example', backends[0].url, '--ttl=2');
      if (name === 'zookeeper') {
        assert.equal(code, 1);
        assert.match(stderr, /routes do not expire in this store/);
        return;
      }
      assert.equal(code, 0, stderr);
      await until('its end everywhere', () => all(400));
      assert.ok(Date.now() - setMs >= 2000);
      assert.equal((await home.run('route', 'show', 'd.example')).code, 3);
      assert.equal((await home.run('route', 'set', 'd.example', backends[1].url, '--wait=20')).code, 0);
      assert.ok(await all(200));
    });

    it('are named if they do not serve a change in time', async () => {
      const [hung] = workerPids(instances[0]?.pid ?? 0);
      process.kill(hung ?? 0, 'SIGSTOP');
      try {
        const { code, stdout, stderr } = await home.run('route', 'set', 'a.example', backends[0].url, '--wait=4');
        assert.equal(code, 4, stderr);
        assert.match(stdout, /^a\.example: route created, 1 backend/);
        assert.match(
          stderr,
          /the change is made, but after 4 s it is not live on 1 of 2 instances: \S+ \(serves up to/,
        );
        assert.match((await home.run('fleet')).stdout, /behind.*1 of 2 instances do not serve it yet/s);
      } finally {
        process.kill(hung ?? 0, 'SIGCONT');
      }
      assert.equal((await home.run('route', 'add', 'a.example', backends[1].url, '--wait=20')).code, 0);
    });
  });
}

describe('a store that cannot tell', () => {
  it('refuses to wait, after the change has been made', async (t) => {
    const home = new HipacheHome();
    const server = await MemcachedServer.start();
    t.after(async () => {
      await home.remove();
      await server.stop();
    });
    home.configure({ driver: server.url });
    const { code, stdout, stderr } = await home.run('route', 'set', 'a.example', 'http://127.0.0.1:1', '--wait');
    assert.equal(code, 1);
    assert.match(stdout, /route created/);
    assert.match(stderr, /this store cannot tell which instances serve a change/);
    assert.match((await home.run('fleet')).stderr, /this store cannot tell/);
    const wrong = await home.run('route', 'set', 'a.example', 'http://127.0.0.1:1', '--wait=soon');
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /--wait: found "soon", allowed 0 to 3600 seconds/);
  });
});
