import { openStore } from '../../src/stores/open-store.ts';
import { Authority } from './authority.ts';
import { BusyInstance, secureHost, tunnelHost } from './busy-instance.ts';
import { EchoBackend } from './echo-tunnels.ts';
import { HttpBackend } from './http-backend.ts';

type Driver = string | readonly string[];

export interface OutageRigOptions {
  /** The store, which runs and is empty. */
  readonly driver: Driver;
  /** The same store as each instance reaches it; default: `driver`. */
  readonly drivers?: readonly [Driver, Driver];
  /** How many hosts the load requests; default 50. */
  readonly hosts?: number;
  /** The section `server` of the configuration. */
  readonly server?: Readonly<Record<string, unknown>>;
}

/**
 * Two instances on one store, of any kind, that clients use in every way while the store is away. The hosts
 * `app0.example`, `app1.example`, … are on the backend "one" until a test changes them.
 */
export class OutageRig {
  /** Of the store, for writes; a test may change it. */
  driver: Driver;
  readonly hosts: readonly string[];
  readonly one: HttpBackend;
  readonly two: HttpBackend;
  instances: readonly BusyInstance[] = [];
  private readonly authority = new Authority();
  private readonly echo: EchoBackend;

  private constructor(options: OutageRigOptions, one: HttpBackend, two: HttpBackend, echo: EchoBackend) {
    this.driver = options.driver;
    this.hosts = Array.from({ length: options.hosts ?? 50 }, (_, index) => `app${index}.example`);
    this.one = one;
    this.two = two;
    this.echo = echo;
  }

  static async start(options: OutageRigOptions): Promise<OutageRig> {
    const [one, two] = [await HttpBackend.start('one'), await HttpBackend.start('two')];
    const rig = new OutageRig(options, one, two, await EchoBackend.start());
    try {
      await rig.fill();
      await rig.serve(options);
      return rig;
    } catch (error) {
      await rig.stop();
      throw error;
    }
  }

  /** The first instance. */
  get first(): BusyInstance {
    return this.instances[0] as BusyInstance;
  }

  /** Writes all routes and the certificate as they were at the start. */
  async fill(): Promise<void> {
    const { certificate, key } = this.authority.issue([secureHost]);
    const records = [...this.hosts, secureHost].map((pattern) => ({ pattern, frontend: [pattern, this.one.url] }));
    const store = await openStore(this.driver);
    try {
      await store.routes.put([...records, { pattern: tunnelHost, frontend: ['tunnels', this.echo.url] }]);
      await store.certificates.write(secureHost, { certificate, key });
    } finally {
      await store.close();
    }
  }

  /** Moves a host to the backend "two" (or another one), as a process of its own does. */
  async change(host: string, backend = this.two): Promise<void> {
    const store = await openStore(this.driver);
    try {
      await store.routes.set(host, null, [backend.url]);
    } finally {
      await store.close();
    }
  }

  /** Waits until every worker says so of the store. */
  async untilConnected(wanted: 0 | 1): Promise<void> {
    for (const instance of this.instances) await instance.untilConnected(wanted);
  }

  /** Every worker still serves everything that clients knew, in every way, and the load continues. */
  async assertServing(known = this.hosts): Promise<void> {
    for (const instance of this.instances) await instance.assertServing(known);
  }

  /** The same again and again, for so long. */
  async assertServingFor(forMs: number): Promise<void> {
    const end = performance.now() + forMs;
    while (performance.now() < end) await this.assertServing();
  }

  /** Waits until every worker serves these hosts from the backend "two". */
  async untilChanged(...changed: readonly string[]): Promise<void> {
    for (const { clients } of this.instances) for (const host of changed) await clients.untilAll(host, 'two');
  }

  /** Every worker serves what was changed, and nobody has lost anything. Ends the load. */
  async assertRecovered(...changed: readonly string[]): Promise<void> {
    await this.untilConnected(1);
    await this.untilChanged(...changed);
    // The store reports changes again, so new ones arrive as well.
    await this.change(secureHost);
    await this.untilChanged(secureHost);
    for (const instance of this.instances) await instance.assertUnharmed('two');
  }

  async stop(): Promise<void> {
    for (const instance of this.instances) await instance.remove();
    this.echo.stop();
    await this.one.stop();
    await this.two.stop();
    this.authority.dispose();
  }

  private async serve({ driver, drivers = [driver, driver], server }: OutageRigOptions): Promise<void> {
    const { hosts, authority } = this;
    const starts = drivers.map((own) =>
      BusyInstance.start({ config: { driver: own }, ...(server && { server }), hosts, ca: authority.certificate }),
    );
    const started = await Promise.allSettled(starts);
    this.instances = started.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const failed = started.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }
}
