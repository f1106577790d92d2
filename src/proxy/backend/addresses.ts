import type { Clock } from '../../base/clock.ts';
import { isHostName } from '../../base/host-port.ts';
import type { NameFailure } from '../../dns/answer.ts';
import type { NameWatcher } from '../../dns/name-entry.ts';
import type { NameResolver, NameWatch } from '../../dns/name-resolver.ts';

/** How long an address is avoided after a connection to it failed, in ms, if there are others. */
const avoidedMs = 10_000;

/** Goes on over all backends, since without kept connections these objects live only for one request. */
let turn = 0;

/** Waits for the addresses of a backend. One of the methods is called once. */
export interface AddressWaiter {
  onAddresses(): void;
  onNoAddresses(problem: NameFailure): void;
}

/** The addresses of one backend: those of its name, as the resolver follows it, or the one or the path in its URL. */
export class BackendAddresses implements NameWatcher {
  private addresses: readonly string[] | null;
  private readonly watch: NameWatch | null;
  private readonly clock: Clock;
  private readonly onChanged: () => void;
  private readonly waiters = new Set<AddressWaiter>();
  /** Monotonic ms at which connections to an address last failed. */
  private readonly failedMs = new Map<string, number>();
  /** Why there are none; null while that is not known. */
  private problem: NameFailure | null = null;

  /** @param onChanged called when addresses that were known are replaced by others. */
  constructor(hostname: string, resolver: Pick<NameResolver, 'watch'>, clock: Clock, onChanged: () => void) {
    this.clock = clock;
    this.onChanged = onChanged;
    const isName = isHostName(hostname);
    this.addresses = isName ? null : [hostname];
    this.watch = isName ? resolver.watch(hostname, this) : null;
  }

  onAddresses(addresses: readonly string[]): void {
    const isChange = this.addresses !== null;
    this.addresses = addresses;
    this.problem = null;
    for (const address of this.failedMs.keys()) if (!addresses.includes(address)) this.failedMs.delete(address);
    if (isChange) this.onChanged();
    for (const waiter of this.takeWaiters()) waiter.onAddresses();
  }

  onFailed(problem: NameFailure): void {
    this.problem = problem;
    for (const waiter of this.takeWaiters()) waiter.onNoAddresses(problem);
  }

  /**
   * The next address to connect to, each in its turn; those that failed lately come last. Null if none is known yet, or
   * all were tried.
   */
  next(tried: readonly string[]): string | null {
    const { addresses } = this;
    if (addresses === null) return null;
    if (addresses.length === 1) {
      const only = addresses[0] as string;
      return tried.length === 0 ? only : null;
    }
    const untried = addresses.filter((address) => !tried.includes(address));
    const nowMs = this.clock.monotonicMs();
    const good = untried.filter((address) => nowMs - (this.failedMs.get(address) ?? -avoidedMs) >= avoidedMs);
    const among = good.length > 0 ? good : untried;
    return among[turn++ % among.length] ?? null;
  }

  /** Whether connections to this address may be kept. */
  includes(address: string): boolean {
    return this.addresses?.includes(address) === true;
  }

  get count(): number {
    return this.addresses?.length ?? 0;
  }

  failed(address: string): void {
    if (this.count > 1) this.failedMs.set(address, this.clock.monotonicMs());
  }

  worked(address: string): void {
    if (this.failedMs.size > 0) this.failedMs.delete(address);
  }

  /** Waits until the name is resolved. Calls back later, never before it returns. */
  await(waiter: AddressWaiter): void {
    this.waiters.add(waiter);
    const { problem } = this;
    if (problem === null) return;
    // The failure is a moment old, and the resolver tries again by itself.
    queueMicrotask(() => {
      if (this.waiters.delete(waiter)) waiter.onNoAddresses(problem);
    });
  }

  cancel(waiter: AddressWaiter): void {
    this.waiters.delete(waiter);
  }

  close(): void {
    this.watch?.close();
  }

  private takeWaiters(): readonly AddressWaiter[] {
    const waiters = [...this.waiters];
    this.waiters.clear();
    return waiters;
  }
}
