import { setTimeout as delay } from 'node:timers/promises';
import { BackOff } from '../base/back-off.ts';
import { type ErrorCode, HipacheError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Performer, ResultOf } from '../operations/catalogue.ts';
import { ReportedOnce } from './reported-once.ts';
import type { RoutedContainer, WantedHost, WantedRoutes } from './wanted-routes.ts';

/** Hosts that are written at once. */
const batchMax = 500;
/** Between attempts while the store does not answer, in ms. */
const backOff = { firstMs: 200, longestMs: 10_000 };
/** How long the end may take, in ms. */
const endMs = 5000;
/** Errors that trying again does not mend. */
const lasting: ReadonlySet<ErrorCode> = new Set([
  'COMMAND_INVALID',
  'CONFIG_INVALID',
  'CONFIG_UNREADABLE',
  'STORE_UNSUPPORTED',
]);

type PublishedChanges = ResultOf<'setOwnedRoutes'>;

interface PublisherOptions {
  readonly performer: Performer;
  readonly owner: string;
  readonly source: string;
  /** Names this process, for others that want the same source. */
  readonly holder: string;
  readonly adopt: boolean;
  readonly log: Log;
}

/**
 * Writes what containers want into the store: changes at once, everything from time to time. While the store does not answer, changes
 * wait; afterwards everything is compared.
 */
export class RoutePublisher {
  private readonly wanted: WantedRoutes;
  private readonly options: PublisherOptions;
  private readonly refusals: ReportedOnce;
  private readonly conflicts: ReportedOnce;
  private readonly failed = Promise.withResolvers<never>();
  private readonly abort = new AbortController();
  private touched = new Set<string>();
  /** Whether everything is known, and may be written. */
  private isKnown = false;
  private isDue = false;
  private running: Promise<void> | null = null;

  constructor(wanted: WantedRoutes, options: PublisherOptions) {
    this.wanted = wanted;
    this.options = options;
    const { log } = options;
    this.refusals = new ReportedOnce((host, reason) =>
      log.warn(`the host is refused: ${reason}`, { host, containers: this.names(host) }),
    );
    this.conflicts = new ReportedOnce((what, reason) =>
      log.warn(`options contradict each other: ${reason}`, { option: what }),
    );
    this.failed.promise.catch(() => {});
  }

  /** Rejects with an error that trying again does not mend. */
  get failure(): Promise<never> {
    return this.failed.promise;
  }

  /** A container as it is to be reached. */
  set(container: RoutedContainer): void {
    this.touch(this.wanted.set(container));
  }

  delete(id: string): void {
    this.touch(this.wanted.delete(id));
  }

  /** All containers are known: everything else that the source has in the store can go. */
  complete(): void {
    this.isKnown = true;
    this.isDue = true;
    this.wake();
  }

  /** Writes everything once. @throws HipacheError. */
  async once(): Promise<PublishedChanges> {
    const changes = await this.write(this.wanted.hosts, true, true);
    return changes;
  }

  /** Ends, once a write that is under way is made, after up to 5 s. Routes stay, and another process may have the source. */
  async end(): Promise<void> {
    this.abort.abort();
    await Promise.race([this.running, delay(endMs, undefined, { ref: false })]);
    if (!this.isKnown) return;
    const { holder, owner, performer, source } = this.options;
    const released = performer.perform('setOwnedRoutes', {
      owner,
      source,
      holder,
      routes: [],
      complete: false,
      release: true,
    });
    await Promise.race([released.catch(() => {}), delay(endMs, undefined, { ref: false })]);
  }

  private touch(hosts: readonly string[]): void {
    for (const host of hosts) this.touched.add(host);
    this.wake();
  }

  private wake(): void {
    if (!this.isKnown || this.abort.signal.aborted || (!this.isDue && this.touched.size === 0)) return;
    this.running ??= this.run().finally(() => {
      this.running = null;
      this.wake();
    });
  }

  /** Writes until nothing is left to write. Never rejects. */
  private async run(): Promise<void> {
    const pauses = new BackOff(backOff);
    const { signal } = this.abort;
    let isAway = false;
    while ((this.isDue || this.touched.size > 0) && !signal.aborted) {
      const isComplete = this.isDue;
      const hosts = isComplete ? this.wanted.hosts : [...this.touched].slice(0, batchMax);
      const before = this.touched;
      // Containers that change in the meantime are written next.
      this.touched = isComplete ? new Set() : before.difference(new Set(hosts));
      this.isDue = false;
      try {
        await this.write(hosts, isComplete, false);
        pauses.reset();
        if (isAway) this.options.log.info('routes are written again');
        isAway = false;
      } catch (error) {
        if (!(error instanceof HipacheError) || lasting.has(error.code)) {
          this.abort.abort();
          this.failed.reject(error as Error);
          return;
        }
        if (!isAway) this.options.log.warn(`routes cannot be written: ${error.message}`, { code: error.code });
        isAway = true;
        this.isDue = true;
        await delay(pauses.next(), undefined, { signal }).catch(() => {});
      }
    }
  }

  private async write(hosts: readonly string[], isComplete: boolean, release: boolean): Promise<PublishedChanges> {
    const { adopt, holder, owner, performer, source } = this.options;
    const found = hosts.map((host) => this.wanted.wanted(host));
    const routes = found.map(({ route }) => ({ ...route, backends: [...route.backends] }));
    const changes = await performer.perform('setOwnedRoutes', {
      ...{ owner, source, holder, adopt, release, routes },
      complete: isComplete,
    });
    const own = found.flatMap(({ contradictions }) => contradictions);
    const told = (among: ReadonlySet<string>) => (what: string) => isComplete || among.has(what.split(' ')[0] ?? '');
    this.report(routes, changes);
    const written = new Set(hosts);
    this.refusals.report(new Map(changes.refused.map(({ host, reason }) => [host, reason])), told(written));
    this.conflicts.report(
      new Map([
        ...own.map(
          ({ container, holder: by, host, option }) =>
            [`${host} ${option}`, `${container} has another value than ${by}, which was there first`] as const,
        ),
        ...changes.conflicts.map(
          ({ holder: by, host, option }) =>
            [`${host} ${option}`, `the source ${by} has another value, and was there first`] as const,
        ),
      ]),
      told(written),
    );
    return changes;
  }

  private report(routes: readonly WantedHost[], changes: PublishedChanges): void {
    const { log } = this.options;
    const byHost = new Map(routes.map((route) => [route.host, route]));
    for (const kind of ['added', 'changed', 'removed'] as const) {
      for (const host of changes[kind]) {
        const backends = byHost.get(host)?.backends ?? [];
        log.info(`route ${kind}`, backends.length === 0 ? { host } : { host, backends: backends.join(' ') });
      }
    }
  }

  private names(host: string): string {
    return this.wanted.namesOf(host).join(' ');
  }
}
