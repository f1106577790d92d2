import assert from 'node:assert/strict';
import { once } from 'node:events';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { Authority } from '../helpers/authority.ts';
import { EchoBackend, EchoTunnel } from '../helpers/echo-tunnels.ts';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { metricsUrl, scrape } from '../helpers/metrics.ts';
import { RedisServer } from '../helpers/redis-server.ts';
import { askOn, SteadyLoad } from '../helpers/steady-load.ts';
import { until } from '../helpers/until.ts';
import { WorkerClients } from '../helpers/worker-clients.ts';

const hosts = Array.from({ length: 200 }, (_, index) => `app${index}.example`);
const tunnelHost = 'tunnels.example';
const secureHost = 'secure.example';
const workers = 2;
const tunnelsEach = 4;

/** One of the instances, with the connections that its clients keep open throughout. */
interface Instance {
  readonly home: HipacheHome;
  readonly proxy: HipacheProcess;
  readonly clients: WorkerClients;
  readonly tunnels: readonly EchoTunnel[];
  readonly secure: TLSSocket;
  readonly load: SteadyLoad;
}

describe('two instances during a Redis outage', () => {
  let server: RedisServer;
  let authority: Authority;
  let one: HttpBackend;
  let two: HttpBackend;
  let echo: EchoBackend;
  let instances: readonly Instance[] = [];

  beforeEach(async () => {
    authority = new Authority();
    server = await RedisServer.start({
      config: ['requirepass secret', 'appendonly yes', 'appendfsync always'],
      cli: ['-a', 'secret', '--no-auth-warning'],
    });
    one = await HttpBackend.start('one');
    two = await HttpBackend.start('two');
    echo = await EchoBackend.start();
    for (const host of [...hosts, secureHost]) await server.cli('rpush', `frontend:${host}`, host, one.url);
    await server.cli('rpush', `frontend:${tunnelHost}`, 'tunnels', echo.url);
    const { certificate, key } = authority.issue([secureHost]);
    await server.cli('hset', `tls:${secureHost}`, 'certificate', certificate, 'key', key);
    instances = await Promise.all([startInstance(), startInstance()]);
  });

  afterEach(async () => {
    for (const { load, clients, tunnels, secure, home } of instances) {
      await load.stop();
      clients.close();
      for (const tunnel of tunnels) tunnel.close();
      secure.destroy();
      await home.remove();
    }
    instances = [];
    echo.stop();
    await one.stop();
    await two.stop();
    await server.remove();
    authority.dispose();
  });

  async function startInstance(): Promise<Instance> {
    const home = new HipacheHome();
    home.configure(
      {
        driver: `redis://:secret@127.0.0.1:${server.port}`,
        https: { bind: [{ address: '127.0.0.1', port: 0 }] },
        metrics: { port: 0 },
      },
      { workers },
    );
    const proxy = await home.serve();
    const clients = await WorkerClients.connect(proxy, secureHost);
    for (const host of [...hosts, tunnelHost]) await clients.bodies(host);
    // Each handshake may reach another worker.
    await until('the certificate in every worker', async () => {
      (await handshake(proxy)).destroy();
      return (await metric(proxy, 'hipache_certificates')) === workers;
    });
    const tunnels = await Promise.all(
      Array.from({ length: tunnelsEach }, () => EchoTunnel.open(proxy.port, tunnelHost)),
    );
    const secure = await handshake(proxy);
    // A connection without a first request would be closed.
    await askOn(secure, secureHost);
    const load = new SteadyLoad(proxy.port, hosts, 2, 1);
    return { home, proxy, clients, tunnels, secure, load };
  }

  /** A TLS connection that verifies the store's certificate. */
  async function handshake(proxy: HipacheProcess): Promise<TLSSocket> {
    const port = await proxy.tlsPort();
    const socket = connectTls({ host: '127.0.0.1', port, servername: secureHost, ca: authority.certificate });
    await once(socket, 'secureConnect', { signal: AbortSignal.timeout(30_000) });
    return socket;
  }

  async function metric({ output }: HipacheProcess, series: string): Promise<number> {
    return (await scrape(metricsUrl(output))).get(series) ?? Number.NaN;
  }

  async function untilConnected(wanted: 0 | 1): Promise<void> {
    for (const { proxy } of instances) {
      for (let worker = 1; worker <= workers; worker++) {
        const series = `hipache_store_connected{worker="${worker}"}`;
        await until(`${series} ${wanted}`, async () => (await metric(proxy, series)) === wanted, 30_000);
      }
    }
  }

  /** Every worker still serves everything that clients knew, in every way, and the load continues. */
  async function assertServing(known = hosts): Promise<void> {
    for (const { proxy, clients, tunnels, secure, load } of instances) {
      const { answered } = load;
      for (const host of known) assert.deepEqual(await clients.bodies(host), Array(workers).fill('one'), host);
      for (const tunnel of tunnels) await tunnel.echo();
      assert.match(await askOn(secure, secureHost), /^HTTP\/1\.1 200 /);
      const other = await handshake(proxy);
      assert.match(await askOn(other, secureHost), /^HTTP\/1\.1 200 /);
      other.destroy();
      const tunnel = await EchoTunnel.open(proxy.port, tunnelHost);
      await tunnel.echo();
      tunnel.close();
      await until('the load to continue', () => load.answered > answered + 20);
    }
  }

  /** Every worker serves what was changed, and nobody has lost anything. */
  async function assertRecovered(changed: readonly string[]): Promise<void> {
    await untilConnected(1);
    for (const { clients } of instances) for (const host of changed) await clients.untilAll(host, 'two');
    // The connections get notifications again, so new changes arrive as well.
    await server.cli('lset', `frontend:${secureHost}`, '1', two.url);
    for (const { clients, tunnels, secure, load } of instances) {
      await clients.untilAll(secureHost, 'two');
      for (const tunnel of tunnels) await tunnel.echo();
      assert.match(await askOn(secure, secureHost), /^HTTP\/1\.1 200 [\s\S]*two$/);
      await load.stop();
      assert.deepEqual(load.failures, []);
      for (const { closeCode } of tunnels) assert.equal(closeCode, null);
    }
  }

  it('killed and restarted', async () => {
    await server.kill();
    await untilConnected(0);
    await assertServing();
    await server.start();
    await server.cli('lset', `frontend:${hosts[0]}`, '1', two.url);
    await assertRecovered([hosts[0] as string]);
  });

  it('hung and resumed', async () => {
    server.freeze();
    // Written while it hangs: the server finds this first when it resumes.
    const changed = server.cli('lset', `frontend:${hosts[1]}`, '1', two.url);
    await untilConnected(0);
    await assertServing();
    server.thaw();
    await changed;
    await assertRecovered([hosts[1] as string]);
  });

  it('replying after up to two seconds, for six', async () => {
    const pauses = (async () => {
      for (let count = 0; count < 3; count++) await server.cli('client', 'pause', '2000', 'all');
    })();
    await assertServing();
    // A change takes as long as the server does, and no connection is given up for it.
    await server.cli('lset', `frontend:${hosts[3]}`, '1', two.url);
    await pauses;
    for (const { proxy } of instances) assert.doesNotMatch(proxy.output, /the connection to the store is lost/);
    await assertRecovered([hosts[3] as string]);
  });

  it('killed, and restored from an older backup', async () => {
    const data = join(server.directory, 'appendonlydir');
    const backup = join(server.directory, 'backup');
    const [host] = hosts as [string];
    const { home } = (instances as [Instance])[0];
    cpSync(data, backup, { recursive: true });
    for (let count = 0; count < 5; count++) await home.route('set', host, two.url, '--wait=30');
    await server.kill();
    await untilConnected(0);
    await assertServing(hosts.slice(1));
    rmSync(data, { recursive: true });
    cpSync(backup, data, { recursive: true });
    await server.start();
    for (const { clients } of instances) await clients.untilAll(host, 'one');
    // The revisions count from an earlier one; what is written counts all the same.
    assert.match(await home.route('set', host, two.url, '--wait=30'), /live on 2 instances, 4 workers/);
    for (const { clients } of instances) assert.deepEqual(await clients.bodies(host), ['two', 'two']);
    await assertRecovered([host]);
  });

  it('refusing the password, then accepting it again', async () => {
    await server.cli('config', 'set', 'requirepass', 'other');
    await server.cli('-a', 'other', 'client', 'kill', 'type', 'normal', 'skipme', 'yes');
    await untilConnected(0);
    await until('the logs to say why', () =>
      instances.every(({ proxy }) => /refuses the .*password/.test(proxy.output)),
    );
    await server.cli('-a', 'other', 'lset', `frontend:${hosts[2]}`, '1', two.url);
    await assertServing();
    await server.cli('-a', 'other', 'config', 'set', 'requirepass', 'secret');
    await assertRecovered([hosts[2] as string]);
  });
});
