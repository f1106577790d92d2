import { isIP } from 'node:net';
import { Mistakes } from '../base/mistakes.ts';
import { ListenSockets } from './listen-sockets.ts';
import type { InheritedSocket, Place } from './messages.ts';
import { firstInheritedFd } from './worker-process.ts';

/** A place of the configuration with its sockets. */
interface BoundPlace {
  /** The same for the same address in another configuration. */
  readonly key: string;
  readonly place: Place;
  readonly sockets: ListenSockets;
}

/** All sockets of one process; places may be many. */
const socketsMax = 1024;

/** What the instance listens on: bound once, kept from configuration to configuration. */
export class BoundPlaces {
  /** Sockets of each place, fixed for the life of the primary: as many as it has workers at its start. */
  readonly shares: number;
  private places: readonly BoundPlace[] = [];
  private readonly open = new Map<string, BoundPlace>();

  constructor(workers: number, places: number) {
    this.shares = Math.max(1, Math.min(workers, Math.floor(socketsMax / Math.max(1, places))));
  }

  /** What the workers are given at present. */
  get current(): readonly BoundPlace[] {
    return this.places;
  }

  /**
   * Binds those that are not bound yet.
   * @throws HipacheError LISTEN_FAILED, AggregateError of several; then none is.
   */
  async bind(wanted: readonly Place[]): Promise<readonly BoundPlace[]> {
    const seen = new Map<string, number>();
    const made: string[] = [];
    const places: BoundPlace[] = [];
    const mistakes = new Mistakes();
    try {
      for (const place of wanted) {
        const where = `${place.address} ${place.port}`;
        const count = (seen.get(where) ?? 0) + 1;
        seen.set(where, count);
        const key = `${where} ${count}`;
        const known = this.open.get(key);
        if (known === undefined) {
          const sockets = await mistakes.take(() => ListenSockets.bind(place.address, place.port, this.shares));
          if (sockets === null) continue;
          this.open.set(key, { key, place, sockets });
          made.push(key);
        }
        const { sockets } = this.open.get(key) as BoundPlace;
        places.push({ key, place: { ...place, port: sockets.port }, sockets });
      }
      mistakes.check();
    } catch (error) {
      for (const key of made) this.drop(key);
      throw error;
    }
    return places;
  }

  /** These are what workers are given from now on. */
  use(places: readonly BoundPlace[]): void {
    this.places = places;
  }

  /** Gives up all others. */
  closeAllBut(places: readonly BoundPlace[]): void {
    const keep = new Set(places.map(({ key }) => key));
    for (const key of [...this.open.keys()]) if (!keep.has(key)) this.drop(key);
  }

  close(): void {
    this.closeAllBut([]);
  }

  /** As workers inherit them. */
  get sockets(): readonly InheritedSocket[] {
    let fd = firstInheritedFd;
    return this.places.flatMap(({ place, sockets }, index) =>
      sockets.descriptors.map((_, share) => ({ ...place, fd: fd++, place: index, share })),
    );
  }

  /** Of this process, in the order of `sockets`. */
  get descriptors(): readonly number[] {
    return this.places.flatMap(({ sockets }) => sockets.descriptors);
  }

  get urls(): readonly string[] {
    return this.places.map(({ place: { address, port, secure, proxyProtocol } }) => {
      const host = isIP(address) === 6 ? `[${address}]` : address;
      return `${secure ? 'https' : 'http'}://${host}:${port}${proxyProtocol ? ' (PROXY protocol)' : ''}`;
    });
  }

  private drop(key: string): void {
    this.open.get(key)?.sockets.close();
    this.open.delete(key);
  }
}
