import { Socket } from 'node:net';
import { getSystemErrorName } from 'node:util';

/**
 * The one file that knows what Node has below `net.Socket`: a handle of libuv, and the requests that write to it.
 * They are not public. Where a Node does not have them as they are expected here, `streams` is null, and connections
 * are served through `net.Socket`: the same, at a higher price.
 */

/** A TCP connection of libuv. Calls return 0, or a negative number of libuv's errors. */
export interface TcpHandle {
  /** Called with each read; `state[kReadBytesOrError]` says of how many bytes. Returns the buffer for the next, if another. */
  onread: (this: TcpHandle) => Buffer | undefined;
  /** Of `net.Socket`, which it would keep alive. */
  owner: unknown;
  readonly writeQueueSize: number;
  useUserBuffer(buffer: Buffer): void;
  readStart(): number;
  readStop(): number;
  writeLatin1String(request: WriteRequest, text: string): number;
  writeBuffer(request: WriteRequest, bytes: Buffer): number;
  /** @param chunks each followed by its encoding, unless all are buffers. */
  writev(request: WriteRequest, chunks: readonly (string | Buffer)[], allBuffers: boolean): number;
  shutdown(request: ShutdownRequest): number;
  close(done?: () => void): void;
  reset(done?: () => void): number;
  setNoDelay(on: boolean): number;
  setKeepAlive(on: boolean, afterSeconds: number, everySeconds?: number, count?: number): number;
  getpeername(peer: { address?: string }): number;
}

/** Is in use by libuv only where a write could not be done at once. */
export interface WriteRequest {
  oncomplete: ((this: this, status: number) => void) | undefined;
}

interface ShutdownRequest {
  oncomplete: ((this: this, status: number) => void) | undefined;
}

export interface Streams {
  readonly WriteWrap: new () => WriteRequest;
  readonly ShutdownWrap: new () => ShutdownRequest;
  /** What the last call of a handle, or to `onread`, has to say besides its result. */
  readonly streamBaseState: Int32Array;
  readonly kReadBytesOrError: number;
  readonly kLastWriteWasAsync: number;
}

/** The end of what the peer sends, as libuv says it. */
export const endOfStream = -4095;

export const streams: Streams | null = findStreams();

function findStreams(): Streams | null {
  const { binding } = process as unknown as { binding?: (name: string) => unknown };
  try {
    const found = binding?.call(process, 'stream_wrap') as Partial<Streams> | undefined;
    const isAsExpected =
      typeof found?.WriteWrap === 'function' &&
      typeof found.ShutdownWrap === 'function' &&
      found.streamBaseState instanceof Int32Array &&
      typeof found.kReadBytesOrError === 'number' &&
      typeof found.kLastWriteWasAsync === 'number';
    return isAsExpected ? (found as Streams) : null;
  } catch {
    return null;
  }
}

/** What of a socket's handle is looked for before it is used. */
const methods = [
  'useUserBuffer',
  'readStart',
  'readStop',
  'writeLatin1String',
  'writeBuffer',
  'writev',
  'shutdown',
  'close',
  'reset',
  'setNoDelay',
  'setKeepAlive',
  'getpeername',
] as const;

/**
 * Takes the handle away from a socket, which is of no use after that.
 * @returns null where the socket has none that can be used: it is left as it is.
 */
export function takeHandle(socket: Socket): TcpHandle | null {
  const carrier = socket as unknown as { _handle: TcpHandle | null };
  const handle = carrier._handle;
  if (!isHandle(handle)) return null;
  carrier._handle = null;
  handle.owner = null;
  return handle;
}

/** The usual socket on a handle. */
export function socketOn(handle: TcpHandle, options: object = {}): Socket {
  return new Socket({ handle, allowHalfOpen: true, pauseOnCreate: true, ...options } as object);
}

export function isHandle(handle: unknown): handle is TcpHandle {
  return (
    typeof handle === 'object' &&
    handle !== null &&
    methods.every((name) => typeof (handle as Record<string, unknown>)[name] === 'function')
  );
}

/** The address of the other end; empty where it is gone already. */
export function peerAddress(handle: TcpHandle): string {
  const peer: { address?: string } = {};
  return handle.getpeername(peer) === 0 ? (peer.address ?? '') : '';
}

/** The error of a number that a handle has returned. */
export function systemError(status: number, syscall: string): NodeJS.ErrnoException {
  const code = getSystemErrorName(status);
  return Object.assign(new Error(`${syscall} ${code}`), { errno: status, code, syscall });
}
