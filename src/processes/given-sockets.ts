import { type GivenSocket, ListenSockets } from './listen-sockets.ts';

/** The sockets of an address, as one primary hands them to the next. */
export interface HandedAddress {
  /** Identifies the address across configurations. */
  readonly key: string;
  readonly port: number;
  readonly descriptors: readonly number[];
}

/** The variable that names the descriptors of a `HandedAddress`, in the manner of systemd's LISTEN_FDS. */
export const handedVariable = 'HIPACHE_LISTEN';
/** systemd's first descriptor. */
const firstActivatedFd = 3;

/** Listening sockets that this process has inherited: from the primary before it, or from systemd. */
export class GivenSockets {
  static readonly none = new GivenSockets([], []);
  private readonly handed: Map<string, HandedAddress>;
  private readonly activated: Set<GivenSocket>;
  /** Descriptors from systemd that are no listening TCP socket. */
  private readonly unusable: number[] = [];

  private constructor(handed: readonly HandedAddress[], descriptors: readonly number[]) {
    this.handed = new Map(handed.map((address) => [address.key, address]));
    this.activated = new Set();
    for (const fd of descriptors) {
      const socket = ListenSockets.open(fd);
      if (socket === null) this.unusable.push(fd);
      else this.activated.add(socket);
    }
  }

  /** Reads the variables and removes them: they are not for the children of this process. */
  static fromEnvironment(env: NodeJS.ProcessEnv, pid: number): GivenSockets {
    const { LISTEN_PID, LISTEN_FDS, [handedVariable]: handed } = env;
    for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES', handedVariable]) delete env[name];
    const count = LISTEN_PID === String(pid) ? Number(LISTEN_FDS) || 0 : 0;
    const descriptors = Array.from({ length: count }, (_, index) => firstActivatedFd + index);
    return new GivenSockets(handed === undefined ? [] : (JSON.parse(handed) as HandedAddress[]), descriptors);
  }

  /** The sockets for an address; null if there are none, and it has to be bound. */
  async take(key: string, address: string, port: number): Promise<ListenSockets | null> {
    const handed = this.handed.get(key);
    if (handed !== undefined) {
      this.handed.delete(key);
      const sockets = handed.descriptors.flatMap((fd) => ListenSockets.open(fd) ?? []);
      return ListenSockets.of(sockets, handed.port);
    }
    if (this.activated.size === 0 || port === 0) return null;
    const ip = await ListenSockets.ipOf(address, port);
    const here = [...this.activated].filter((socket) => socket.port === port);
    const exact = here.filter((socket) => socket.ip === ip);
    // A socket for all addresses of IPv6 usually accepts those of IPv4 too, so that these could not be bound.
    const found = exact.length === 0 && ip === '0.0.0.0' ? here.filter((socket) => socket.ip === '::') : exact;
    for (const socket of found) this.activated.delete(socket);
    return found.length === 0 ? null : ListenSockets.of(found, port);
  }

  /** Closes those that no address has taken. @returns the addresses of those that systemd holds all the same. */
  closeUnused(): readonly string[] {
    for (const { descriptors } of this.handed.values()) {
      for (const fd of descriptors) ListenSockets.open(fd)?.handle.close();
    }
    this.handed.clear();
    const unused = [...this.activated].map(({ ip, port, handle }) => {
      handle.close();
      return `${ip} port ${port}`;
    });
    this.activated.clear();
    return [...unused, ...this.unusable.splice(0).map((fd) => `descriptor ${fd}`)];
  }
}
