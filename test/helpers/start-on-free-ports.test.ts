import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { type AddressInfo, Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, mock, type TestContext } from 'node:test';
import { Authority } from './authority.ts';
import { DnsServer } from './dns-server.ts';
import { EtcdServer } from './etcd-server.ts';
import { MemcachedServer } from './memcached-server.ts';
import { RedisGroup } from './redis-group.ts';
import { RedisServer } from './redis-server.ts';
import { ServerProcess } from './server-process.ts';
import { startOnFreePorts } from './start-on-free-ports.ts';
import { ZooKeeperServer } from './zookeeper-server.ts';

/** Takes each of the next ports that are found to be free, before the server that it is for. Clients get no answer. */
function takePorts(t: TestContext, count: number): Server[] {
  const takers: Server[] = [];
  const clients: Socket[] = [];
  // The server that finds a port keeps it.
  const close = mock.method(
    Server.prototype,
    'close',
    function (this: Server, closed?: () => void) {
      takers.push(this);
      this.on('connection', (socket) => clients.push(socket));
      closed?.();
      return this;
    },
    { times: count },
  );
  t.after(() => {
    close.mock.restore();
    for (const taker of takers) taker.close();
    for (const client of clients) client.destroy();
  });
  return takers;
}

function portOf(taker: Server): number {
  return (taker.address() as AddressInfo).port;
}

/** A server of some lines of JavaScript, which is ready once it has said so. */
class Script {
  readonly port: number;
  isRemoved = false;
  private readonly running: ServerProcess;

  constructor(port: number, code: string) {
    this.port = port;
    this.running = new ServerProcess([process.execPath, '-e', code, String(port)]);
  }

  start(): Promise<void> {
    return this.running.ready(() => this.running.output.includes('ready'));
  }

  async remove(): Promise<void> {
    await this.running.stop();
    this.isRemoved = true;
  }
}

const listening = "require('node:net').createServer().listen(process.argv[1], '127.0.0.1', () => console.log('ready'))";

describe('a server whose port another process takes before it', () => {
  it('is started on another one, and the attempt is removed', async (t) => {
    const takers = takePorts(t, 2);
    const tries: Script[] = [];
    const server = await startOnFreePorts(1, ([port = 0]) => {
      const script = new Script(port, listening);
      tries.push(script);
      return script;
    });
    t.after(() => server.remove());
    assert.deepEqual(
      tries.slice(0, 2).map(({ port, isRemoved }) => ({ port, isRemoved })),
      takers.map((taker) => ({ port: portOf(taker), isRemoved: true })),
    );
    assert.equal(tries.length, 3);
    assert.equal(server, tries[2]);
    assert.equal(server.isRemoved, false);
  });

  it('fails after five attempts, with its output', async (t) => {
    takePorts(t, 10);
    const tries: Script[] = [];
    const start = startOnFreePorts(1, ([port = 0]) => {
      const script = new Script(port, listening);
      tries.push(script);
      return script;
    });
    await assert.rejects(start, /did not start: [\s\S]*EADDRINUSE/);
    assert.deepEqual(
      tries.map(({ isRemoved }) => isRemoved),
      [true, true, true, true, true],
    );
  });

  it('is not started again if it ends for another reason', async () => {
    const tries: Script[] = [];
    const start = startOnFreePorts(1, ([port = 0]) => {
      const script = new Script(port, "console.error('no such option'); process.exitCode = 1");
      tries.push(script);
      return script;
    });
    await assert.rejects(start, /did not start: no such option/);
    assert.deepEqual(
      tries.map(({ isRemoved }) => isRemoved),
      [true],
    );
  });
});

interface Started {
  readonly ports: readonly number[];
  remove(): Promise<void>;
}

/** The servers of the tests. The port that is taken is the first one of theirs. */
const servers: Readonly<Record<string, () => Promise<Started>>> = {
  Redis: async () => {
    const server = await RedisServer.start();
    return { ports: [server.port], remove: () => server.remove() };
  },
  'Redis with TLS': async () => {
    const authority = new Authority();
    const { certificateFile: certificate, keyFile: key } = authority.issue(['localhost']);
    const server = await RedisServer.start({ tls: { certificate, key } });
    authority.dispose();
    return { ports: [server.port], remove: () => server.remove() };
  },
  'a sentinel': async () => {
    const group = await RedisGroup.start();
    return { ports: group.sentinelPorts, remove: () => group.remove() };
  },
  etcd: async () => {
    const server = await EtcdServer.start();
    return { ports: server.members.map(({ port }) => port), remove: () => server.remove() };
  },
  ZooKeeper: async () => {
    const server = await ZooKeeperServer.start();
    return { ports: server.members.map(({ port }) => port), remove: () => server.remove() };
  },
  'one ZooKeeper of three': async () => {
    const server = await ZooKeeperServer.start(3);
    return { ports: server.members.map(({ port }) => port), remove: () => server.remove() };
  },
  memcached: async () => {
    const server = await MemcachedServer.start();
    return { ports: [server.port], remove: () => server.remove() };
  },
  dnsmasq: async () => {
    const server = await DnsServer.start({});
    return { ports: [server.port], remove: () => server.remove() };
  },
};

describe('another port is found for', () => {
  for (const [name, start] of Object.entries(servers)) {
    it(name, async (t) => {
      const directory = mkdtempSync(join(tmpdir(), 'hipache-test-'));
      t.after(() => rmSync(directory, { recursive: true, force: true }));
      process.env['TMPDIR'] = directory;
      t.after(() => delete process.env['TMPDIR']);
      const takers = takePorts(t, 1);
      const server = await start();
      assert.equal(takers.length, 1);
      assert.equal(server.ports.includes(takers.map(portOf)[0] ?? 0), false);
      await server.remove();
      assert.deepEqual(readdirSync(directory), []);
    });
  }
});
