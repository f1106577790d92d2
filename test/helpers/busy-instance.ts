import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { EchoTunnel } from './echo-tunnels.ts';
import { HipacheHome, type HipacheProcess } from './hipache.ts';
import { metricsUrl, scrape } from './metrics.ts';
import { askOn, SteadyLoad } from './steady-load.ts';
import { until } from './until.ts';
import { WorkerClients } from './worker-clients.ts';

export const tunnelHost = 'tunnels.example';
export const secureHost = 'secure.example';
const workers = 2;
const tunnelsEach = 4;

export interface BusyInstanceOptions {
  /** The configuration; TLS and metrics are added. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Its section `server`. */
  readonly server?: Readonly<Record<string, unknown>>;
  /** What clients request, besides `tunnelHost` and `secureHost`. The store has them all. */
  readonly hosts: readonly string[];
  /** The certificate of the authority that has signed that of `secureHost`. */
  readonly ca: string;
}

/** The connections that clients keep open. */
interface Kept {
  readonly clients: WorkerClients;
  readonly tunnels: readonly EchoTunnel[];
  readonly secure: TLSSocket;
}

/** An instance of two workers that clients of all kinds use: a kept connection to each worker, TLS, tunnels, a load. */
export class BusyInstance {
  readonly home: HipacheHome;
  readonly proxy: HipacheProcess;
  readonly load: SteadyLoad;
  private readonly options: BusyInstanceOptions;
  private kept: Kept;

  private constructor(options: BusyInstanceOptions, home: HipacheHome, proxy: HipacheProcess, kept: Kept) {
    this.options = options;
    this.home = home;
    this.proxy = proxy;
    this.kept = kept;
    this.load = new SteadyLoad(proxy.port, options.hosts, 2, 1);
  }

  /** Every worker knows every host when it resolves. */
  static async start(options: BusyInstanceOptions): Promise<BusyInstance> {
    const home = new HipacheHome();
    try {
      configure(home, options);
      const proxy = await home.serve();
      return new BusyInstance(options, home, proxy, await connect(proxy, options));
    } catch (error) {
      await home.remove();
      throw error;
    }
  }

  get clients(): WorkerClients {
    return this.kept.clients;
  }

  /** Changes its configuration, which it has not read yet. */
  configure(config: Readonly<Record<string, unknown>>): void {
    configure(this.home, { ...this.options, config });
  }

  /** Opens again what ended with the workers before. Tunnels must have received a Close that says so. */
  async reconnect(): Promise<void> {
    for (const tunnel of this.kept.tunnels) {
      await until('the Close of a tunnel', () => tunnel.closeCode !== null);
      assert.equal(tunnel.closeCode, 1012);
    }
    disconnect(this.kept);
    this.kept = await connect(this.proxy, this.options);
  }

  /** Waits until each worker says so of the store. */
  async untilConnected(wanted: 0 | 1): Promise<void> {
    for (let worker = 1; worker <= workers; worker++) {
      const series = `hipache_store_connected{worker="${worker}"}`;
      await until(`${series} ${wanted}`, async () => (await metric(this.proxy, series)) === wanted, 40_000);
    }
  }

  /** Every worker serves `known` from the backend "one", everything else goes on in every way, and so does the load. */
  async assertServing(known: readonly string[]): Promise<void> {
    const { proxy, load } = this;
    const { clients, tunnels, secure } = this.kept;
    const { answered } = load;
    for (const host of known) assert.deepEqual(await clients.bodies(host), Array(workers).fill('one'), host);
    for (const tunnel of tunnels) await tunnel.echo();
    assert.match(await askOn(secure, secureHost), /^HTTP\/1\.1 200 /);
    const other = await handshake(proxy, this.options.ca);
    assert.match(await askOn(other, secureHost), /^HTTP\/1\.1 200 /);
    other.destroy();
    const tunnel = await EchoTunnel.open(proxy.port, tunnelHost);
    await tunnel.echo();
    tunnel.close();
    await until('the load to continue', () => load.answered > answered + 20);
    assert.deepEqual(load.failures, []);
  }

  /** Ends the load. Nobody has lost a request, a connection or a tunnel; TLS clients get `body`. */
  async assertUnharmed(body: string): Promise<void> {
    const { load } = this;
    const { tunnels, secure } = this.kept;
    for (const tunnel of tunnels) await tunnel.echo();
    const response = await askOn(secure, secureHost);
    assert.match(response, /^HTTP\/1\.1 200 /);
    assert.ok(response.endsWith(body), response);
    await load.stop();
    assert.deepEqual(load.failures, []);
    for (const { closeCode } of tunnels) assert.equal(closeCode, null);
  }

  async remove(): Promise<void> {
    await this.load.stop();
    disconnect(this.kept);
    await this.home.remove();
  }
}

function configure(home: HipacheHome, { config, server = {} }: BusyInstanceOptions): void {
  home.configure(
    { https: { bind: [{ address: '127.0.0.1', port: 0 }] }, metrics: { port: 0 }, ...config },
    { workers, ...server },
  );
}

async function connect(proxy: HipacheProcess, { hosts, ca }: BusyInstanceOptions): Promise<Kept> {
  const clients = await WorkerClients.connect(proxy, secureHost);
  for (const host of [...hosts, tunnelHost]) await clients.bodies(host);
  // Each handshake may reach another worker.
  await until('the certificate in every worker', async () => {
    (await handshake(proxy, ca)).destroy();
    return (await metric(proxy, 'hipache_certificates')) === workers;
  });
  const tunnels = await Promise.all(Array.from({ length: tunnelsEach }, () => EchoTunnel.open(proxy.port, tunnelHost)));
  const secure = await handshake(proxy, ca);
  // A connection without a first request would be closed.
  await askOn(secure, secureHost);
  return { clients, tunnels, secure };
}

function disconnect({ clients, tunnels, secure }: Kept): void {
  clients.close();
  for (const tunnel of tunnels) tunnel.close();
  secure.destroy();
}

/** A TLS connection that verifies the store's certificate. */
async function handshake(proxy: HipacheProcess, ca: string): Promise<TLSSocket> {
  const port = await proxy.tlsPort();
  const socket = connectTls({ host: '127.0.0.1', port, servername: secureHost, ca });
  await once(socket, 'secureConnect', { signal: AbortSignal.timeout(30_000) });
  return socket;
}

async function metric({ output }: HipacheProcess, series: string): Promise<number> {
  return (await scrape(metricsUrl(output))).get(series) ?? Number.NaN;
}
