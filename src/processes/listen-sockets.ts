import { lookup } from 'node:dns/promises';
import net, { isIP } from 'node:net';
import { getSystemErrorName } from 'node:util';
import { listenFailure } from '../base/listen-failure.ts';

/**
 * A socket that is bound but does not accept. `node:cluster` creates such sockets for its workers; Node does not
 * document them.
 */
interface BoundHandle {
  readonly fd: number;
  getsockname(name: { port?: number }): number;
  close(): void;
}

/** @returns the handle, or a system error number. */
type CreateServerHandle = (
  address: string,
  port: number,
  addressType: 4 | 6,
  fd: undefined,
  flags: number,
) => BoundHandle | number;

/** libuv's UV_TCP_REUSEPORT: several sockets share an address, and the kernel distributes connections over them. */
const reusePort = 2;

/** One address, bound for the life of the primary. Workers inherit its sockets, listen on them and accept. */
export class ListenSockets {
  /** The actual port, if any free one was requested. */
  readonly port: number;
  private readonly handles: readonly BoundHandle[];

  private constructor(handles: readonly BoundHandle[], port: number) {
    this.handles = handles;
    this.port = port;
  }

  /**
   * Binds an address once per worker. Nothing accepts yet.
   * @param address an IP address, or a host name whose first address is used.
   * @param port 0 for any free port.
   * @param count number of sockets; only one is bound if the system cannot share an address.
   * @throws HipacheError LISTEN_FAILED.
   */
  static async bind(address: string, port: number, count: number): Promise<ListenSockets> {
    const { ip, family } = await resolve(address, port);
    // Shared sockets would also share the address with another Hipache, so first make sure that nobody has it.
    const probe = bindOne(ip, port, family, 0);
    if (typeof probe === 'string') throw listenFailure(address, port, probe);
    probe.handle.close();
    const handles: BoundHandle[] = [];
    let bound = port;
    for (let index = 0; index < count; index++) {
      const result = bindOne(ip, bound, family, reusePort);
      if (typeof result === 'string') {
        for (const handle of handles) handle.close();
        if (index > 0 || result !== 'ENOTSUP') throw listenFailure(address, port, result);
        const single = bindOne(ip, port, family, 0);
        if (typeof single === 'string') throw listenFailure(address, port, single);
        return new ListenSockets([single.handle], single.port);
      }
      bound = result.port;
      handles.push(result.handle);
    }
    return new ListenSockets(handles, bound);
  }

  /** For workers to inherit. */
  get descriptors(): readonly number[] {
    return this.handles.map(({ fd }) => fd);
  }

  /** Resets the connections that wait to be accepted, unless workers still have the sockets. */
  close(): void {
    for (const handle of this.handles) handle.close();
  }
}

function bindOne(
  ip: string,
  port: number,
  family: 4 | 6,
  flags: number,
): { handle: BoundHandle; port: number } | string {
  const create = (net as unknown as { _createServerHandle: CreateServerHandle })._createServerHandle;
  const handle = create(ip, port, family, undefined, flags);
  if (typeof handle === 'number') return getSystemErrorName(handle);
  const name: { port?: number } = {};
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
