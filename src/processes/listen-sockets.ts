import { lookup } from 'node:dns/promises';
import net, { isIP } from 'node:net';
import { getSystemErrorName } from 'node:util';
import { listenFailure } from '../base/listen-failure.ts';

/** A socket that is bound and does not accept: what `node:cluster` makes for its workers, which Node does not document. */
interface BoundHandle {
  readonly fd: number;
  getsockname(name: { port?: number }): number;
  close(): void;
}

/** @returns the handle, or the number of a system error. */
type CreateServerHandle = (
  address: string,
  port: number,
  addressType: 4 | 6,
  fd: undefined,
  flags: number,
) => BoundHandle | number;

/** libuv's UV_TCP_REUSEPORT: several sockets share an address, and the kernel spreads connections over them. */
const reusePort = 2;

/** One address, bound for as long as the primary lives: workers inherit its sockets, listen on them and accept. */
export class ListenSockets {
  /** The real one, where any free port was asked for. */
  readonly port: number;
  private readonly handles: readonly BoundHandle[];

  private constructor(handles: readonly BoundHandle[], port: number) {
    this.handles = handles;
    this.port = port;
  }

  /**
   * Binds an address once per worker. Nothing accepts yet.
   * @param address an IP address or a host name, of which the first address is taken.
   * @param port 0 for any free one.
   * @param count sockets; where the system cannot share an address between sockets there will be one.
   * @throws HipacheError LISTEN_FAILED.
   */
  static async bind(address: string, port: number, count: number): Promise<ListenSockets> {
    const { ip, family } = await resolve(address, port);
    // Sockets that share an address would share it with another Hipache too: it must be free of anybody first.
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

  /** To be inherited by workers. */
  get descriptors(): readonly number[] {
    return this.handles.map(({ fd }) => fd);
  }

  /** Connections that wait to be accepted are reset, unless workers still have the sockets. */
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
  // That an address is in use is only told now.
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
