import { lookup } from 'node:dns/promises';
import net, { isIP, SocketAddress } from 'node:net';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { getSystemErrorName } from 'node:util';
import { hostPort } from '../base/host-port.ts';
import { listenFailure } from '../base/listen-failure.ts';
import { AddressLock } from './address-lock.ts';

/**
 * A socket that is bound but does not accept. `node:cluster` creates such sockets for its workers; Node does not
 * document them.
 */
interface BoundHandle {
  readonly fd: number;
  getsockname(name: SocketName): number;
  close(): void;
}

interface SocketName {
  address?: string;
  port?: number;
}

/** @returns the handle, or a system error number. */
type CreateServerHandle = (
  address: string | undefined,
  port: number | undefined,
  addressType: 4 | 6 | undefined,
  fd: number | undefined,
  flags: number,
) => BoundHandle | number;

/** libuv's UV_TCP_REUSEPORT: several sockets share an address, and the kernel distributes connections over them. */
const reusePort = 2;

/** Pause between attempts to bind an address that is in use, in ms. */
const againMs = 50;

/** How to deal with an address on which another program listens. */
export interface Rivalry {
  /** Whether to share it, if the other program lets others share it, as Hipache does, and has the same user. */
  readonly beside: boolean;
  /** Monotonic ms until which to wait for it otherwise. */
  readonly untilMs: number;
  /** Called once for each address that is waited for. */
  readonly onWait: (where: string) => void;
}

/** Refuses an address that is in use, at once. */
export const noRivalry: Rivalry = { beside: false, untilMs: 0, onWait: () => {} };

/** A listening socket that this process has been given. */
export interface GivenSocket {
  readonly handle: BoundHandle;
  /** As the kernel writes it. */
  readonly ip: string;
  readonly port: number;
}

/** One address, bound for the life of the primary. Workers inherit its sockets, listen on them and accept. */
export class ListenSockets {
  /** The actual port, if any free one was requested. */
  readonly port: number;
  private readonly handles: readonly BoundHandle[];
  private readonly lock: AddressLock | null;

  private constructor(handles: readonly BoundHandle[], port: number, lock: AddressLock | null = null) {
    this.handles = handles;
    this.port = port;
    this.lock = lock;
  }

  /**
   * Binds an address once per worker. Nothing accepts yet; until `listening` is called, no other instance can bind it
   * without `beside`.
   * @param address an IP address, or a host name whose first address is used.
   * @param port 0 for any free port.
   * @param count number of sockets; only one is bound if the system cannot share an address.
   * @param rivalry null: the address is refused if somebody listens there, but not reserved: it is only looked at.
   * @throws HipacheError LISTEN_FAILED.
   */
  static async bind(address: string, port: number, count: number, rivalry: Rivalry | null): Promise<ListenSockets> {
    const { ip, family } = await resolve(address, port);
    const { beside, untilMs, onWait } = rivalry ?? noRivalry;
    const isReserved = rivalry !== null && !beside && port !== 0;
    for (let waits = false; ; waits = true) {
      const lock = isReserved ? await AddressLock.take(ip, port) : null;
      const isLocked = isReserved && lock === null;
      const bound = isLocked ? 'EADDRINUSE' : bindAll(ip, port, family, count, beside);
      if (typeof bound !== 'string') return new ListenSockets(bound.handles, bound.port, lock);
      lock?.release();
      if (bound !== 'EADDRINUSE' || performance.now() >= untilMs) throw listenFailure(address, port, bound);
      if (!waits) onWait(hostPort(address, port));
      await delay(againMs);
    }
  }

  /** Takes over sockets that this process has been given: of one address. */
  static of(given: readonly GivenSocket[], port: number): ListenSockets {
    return new ListenSockets(
      given.map(({ handle }) => handle),
      port,
    );
  }

  /** A listening TCP socket that this process has inherited; null if the descriptor is none. */
  static open(fd: number): GivenSocket | null {
    try {
      const handle = createHandle(undefined, undefined, undefined, fd, 0);
      const name: SocketName = {};
      if (typeof handle === 'number' || typeof handle.getsockname !== 'function') return null;
      if (handle.getsockname(name) !== 0 || name.address === undefined || name.port === undefined) return null;
      return { handle, ip: name.address, port: name.port };
    } catch {
      // Neither TCP nor a pipe.
      return null;
    }
  }

  /** The address as the kernel writes it. @throws HipacheError LISTEN_FAILED. */
  static async ipOf(address: string, port: number): Promise<string> {
    const { ip, family } = await resolve(address, port);
    return new SocketAddress({ address: ip, family: family === 6 ? 'ipv6' : 'ipv4' }).address;
  }

  /** For workers to inherit. */
  get descriptors(): readonly number[] {
    return this.handles.map(({ fd }) => fd);
  }

  /** Node's handle of the first socket, for a server of this process. */
  get handle(): object {
    return this.handles[0] as BoundHandle;
  }

  /** Somebody listens on one of the sockets: now the kernel keeps others from the address. */
  listening(): void {
    this.lock?.release();
  }

  /** Resets the connections that wait to be accepted, unless workers still have the sockets. */
  close(): void {
    this.lock?.release();
    for (const handle of this.handles) handle.close();
  }
}

const createHandle = (net as unknown as { _createServerHandle: CreateServerHandle })._createServerHandle;

/** @returns the sockets, or a system error. */
function bindAll(
  ip: string,
  port: number,
  family: 4 | 6,
  count: number,
  beside: boolean,
): { handles: BoundHandle[]; port: number } | string {
  if (!beside) {
    // Shared sockets would also share the address with another Hipache, so first make sure that nobody has it.
    const probe = bindOne(ip, port, family, 0);
    if (typeof probe === 'string') return probe;
    probe.handle.close();
  }
  const handles: BoundHandle[] = [];
  let bound = port;
  for (let index = 0; index < count; index++) {
    const result = bindOne(ip, bound, family, reusePort);
    if (typeof result === 'string') {
      for (const handle of handles) handle.close();
      if (index > 0 || result !== 'ENOTSUP') return result;
      const single = bindOne(ip, port, family, 0);
      return typeof single === 'string' ? single : { handles: [single.handle], port: single.port };
    }
    bound = result.port;
    handles.push(result.handle);
  }
  return { handles, port: bound };
}

function bindOne(
  ip: string,
  port: number,
  family: 4 | 6,
  flags: number,
): { handle: BoundHandle; port: number } | string {
  const handle = createHandle(ip, port, family, undefined, flags);
  if (typeof handle === 'number') return getSystemErrorName(handle);
  const name: SocketName = {};
  // Only this call reports that an address is in use.
  const error = handle.getsockname(name);
  if (error === 0) return { handle, port: name.port ?? port };
  handle.close();
  return getSystemErrorName(error);
}

async function resolve(address: string, port: number): Promise<{ ip: string; family: 4 | 6 }> {
  const family = isIP(address);
  if (family !== 0) return { ip: address, family: family === 6 ? 6 : 4 };
  try {
    const found = await lookup(address);
    return { ip: found.address, family: found.family === 6 ? 6 : 4 };
  } catch (error) {
    throw listenFailure(address, port, (error as NodeJS.ErrnoException).code ?? String(error));
  }
}
