import { ErrorCollector } from '../base/error-collector.ts';
import { hostPort } from '../base/host-port.ts';
import { ListenSockets } from './listen-sockets.ts';
import type { InheritedSocket, ListenAddress } from './messages.ts';
import { firstInheritedFd } from './worker-process.ts';

/** An address of the configuration with its sockets. */
interface BoundAddress {
  /** The same for the same address in another configuration. */
  readonly key: string;
  readonly listen: ListenAddress;
  readonly sockets: ListenSockets;
}

/** All sockets of one process; addresses may be many. */
const socketsMax = 1024;

/** What the instance listens on: bound once, kept from configuration to configuration. */
export class BoundAddresses {
  /** Sockets of each address, fixed for the life of the primary: as many as it has workers at its start. */
  readonly shares: number;
  private addresses: readonly BoundAddress[] = [];
  private readonly open = new Map<string, BoundAddress>();

  constructor(workers: number, addresses: number) {
    this.shares = Math.max(1, Math.min(workers, Math.floor(socketsMax / Math.max(1, addresses))));
  }

  /** The addresses that workers get at present. */
  get current(): readonly BoundAddress[] {
    return this.addresses;
  }

  /**
   * Binds those that are not bound yet.
   * @throws HipacheError LISTEN_FAILED, AggregateError of several; then none is.
   */
  async bind(wanted: readonly ListenAddress[]): Promise<readonly BoundAddress[]> {
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
          const sockets = await errors.take(() => ListenSockets.bind(listen.address, listen.port, this.shares));
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

  /** These are what workers are given from now on. */
  use(addresses: readonly BoundAddress[]): void {
    this.addresses = addresses;
  }

  /** Gives up all others. */
  closeAllBut(addresses: readonly BoundAddress[]): void {
    const keep = new Set(addresses.map(({ key }) => key));
    for (const key of [...this.open.keys()]) if (!keep.has(key)) this.drop(key);
  }

  close(): void {
    this.closeAllBut([]);
  }

  /** As workers inherit them. */
  get sockets(): readonly InheritedSocket[] {
    let fd = firstInheritedFd;
    return this.addresses.flatMap(({ listen, sockets }, index) =>
      sockets.descriptors.map((_, share) => ({ ...listen, fd: fd++, addressIndex: index, share })),
    );
  }

  /** Of this process, in the order of `sockets`. */
  get descriptors(): readonly number[] {
    return this.addresses.flatMap(({ sockets }) => sockets.descriptors);
  }

  get urls(): readonly string[] {
    return this.addresses.map(({ listen: { address, port, secure, proxyProtocol } }) => {
      const scheme = secure ? 'https' : 'http';
      return `${scheme}://${hostPort(address, port)}${proxyProtocol ? ' (PROXY protocol)' : ''}`;
    });
  }

  private drop(key: string): void {
    this.open.get(key)?.sockets.close();
    this.open.delete(key);
  }
}
