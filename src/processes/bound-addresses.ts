import { ErrorCollector } from '../base/error-collector.ts';
import { hostPort } from '../base/host-port.ts';
import { GivenSockets, type HandedAddress } from './given-sockets.ts';
import { ListenSockets, noRivalry, type Rivalry } from './listen-sockets.ts';
import type { InheritedSocket, ListenAddress } from './messages.ts';
import { firstInheritedFd } from './worker-process.ts';

/** A configured address and its sockets. */
interface BoundAddress {
  /** Identifies the address across configurations. */
  readonly key: string;
  readonly listen: ListenAddress;
  readonly sockets: ListenSockets;
}

/** Limit for all sockets of one process; there may be many addresses. */
const socketsMax = 1024;

/** The instance's listen addresses. Each is bound once and kept across configurations. */
export class BoundAddresses {
  /** Sockets of an address that is bound here: the number of workers when the primary started. It never changes. */
  private readonly shares: number;
  private addresses: readonly BoundAddress[] = [];
  private readonly open = new Map<string, BoundAddress>();
  private readonly given: GivenSockets;

  /** @param given sockets that are used for the addresses that they fit. */
  constructor(workers: number, addresses: number, given = GivenSockets.none) {
    this.given = given;
    this.shares = Math.max(1, Math.min(workers, Math.floor(socketsMax / Math.max(1, addresses))));
  }

  /** The addresses that workers currently get. */
  get current(): readonly BoundAddress[] {
    return this.addresses;
  }

  /**
   * Binds the addresses that are not bound yet.
   * @param rivalry default: an address that is in use is refused at once.
   * @throws HipacheError LISTEN_FAILED, or an AggregateError of several; no new address is bound then.
   */
  async bind(wanted: readonly ListenAddress[], rivalry: Rivalry = noRivalry): Promise<readonly BoundAddress[]> {
    const seen = new Map<string, number>();
    const made: string[] = [];
    const addresses: BoundAddress[] = [];
    const errors = new ErrorCollector();
    try {
      for (const listen of wanted) {
        const where = `${listen.address} ${listen.port}`;
        const count = (seen.get(where) ?? 0) + 1;
        seen.set(where, count);
        const key = `${where} ${count}`;
        const known = this.open.get(key);
        if (known === undefined) {
          const sockets = await errors.take(async () => {
            const given = await this.given.take(key, listen.address, listen.port);
            return given ?? (await ListenSockets.bind(listen.address, listen.port, this.shares, rivalry));
          });
          if (sockets === null) continue;
          this.open.set(key, { key, listen, sockets });
          made.push(key);
        }
        const { sockets } = this.open.get(key) as BoundAddress;
        addresses.push({ key, listen: { ...listen, port: sockets.port }, sockets });
      }
      errors.check();
    } catch (error) {
      for (const key of made) this.drop(key);
      throw error;
    }
    return addresses;
  }

  /** Workers get these addresses from now on. */
  use(addresses: readonly BoundAddress[]): void {
    this.addresses = addresses;
  }

  /** Workers listen on all addresses. */
  listening(): void {
    for (const { sockets } of this.open.values()) sockets.listening();
  }

  /** Closes the sockets of all other addresses. */
  closeAllBut(addresses: readonly BoundAddress[]): void {
    const keep = new Set(addresses.map(({ key }) => key));
    for (const key of [...this.open.keys()]) if (!keep.has(key)) this.drop(key);
  }

  close(): void {
    this.closeAllBut([]);
  }

  /** The sockets as workers inherit them. */
  get sockets(): readonly InheritedSocket[] {
    let fd = firstInheritedFd;
    return this.addresses.flatMap(({ listen, sockets }, index) =>
      sockets.descriptors.map((_, share) => ({ ...listen, fd: fd++, addressIndex: index, share })),
    );
  }

  /** This process's descriptors, in the order of `sockets`. */
  get descriptors(): readonly number[] {
    return this.addresses.flatMap(({ sockets }) => sockets.descriptors);
  }

  get urls(): readonly string[] {
    return this.addresses.map(({ listen: { address, port, secure, proxyProtocol } }) => {
      const scheme = secure ? 'https' : 'http';
      return `${scheme}://${hostPort(address, port)}${proxyProtocol ? ' (PROXY protocol)' : ''}`;
    });
  }

  /** For a successor to inherit. */
  get handed(): readonly HandedAddress[] {
    return [...this.open.values()].map(({ key, sockets: { port, descriptors } }) => ({ key, port, descriptors }));
  }

  private drop(key: string): void {
    this.open.get(key)?.sockets.close();
    this.open.delete(key);
  }
}
