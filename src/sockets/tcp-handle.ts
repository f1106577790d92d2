import { isIPv6, Socket } from 'node:net';
import { getSystemErrorName } from 'node:util';

/**
 * What Node has below `net.Socket`: a handle of libuv, and the requests that connect it and write to it. They are not
 * public, and this is the one file that looks for them. Where a Node does not have them as they are expected here, `streams` is null, and connections
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
  connect(request: ConnectRequest, address: string, port: number): number;
  connect6(request: ConnectRequest, address: string, port: number): number;
}

/** Is in use by libuv only where a write could not be done at once. */
export interface WriteRequest {
  oncomplete: ((this: this, status: number) => void) | undefined;
}

interface ShutdownRequest {
  oncomplete: ((this: this, status: number) => void) | undefined;
}

interface ConnectRequest {
  oncomplete: ((this: this, status: number) => void) | undefined;
}

export interface Streams {
  readonly WriteWrap: new () => WriteRequest;
  readonly ShutdownWrap: new () => ShutdownRequest;
  /** Further results of the last call of a handle, or to `onread`. */
  readonly streamBaseState: Int32Array;
  readonly kReadBytesOrError: number;
  readonly kLastWriteWasAsync: number;
}

interface Connections {
  readonly TCP: new (kind: number) => TcpHandle;
  readonly TCPConnectWrap: new () => ConnectRequest;
  /** Kinds of a handle. */
  readonly constants: { readonly SOCKET: number };
}

/** The end of what the peer sends, as libuv says it. */
export const endOfStream = -4095;

/** Methods that a handle has to have. They are looked for before any is used. */
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
  'connect',
  'connect6',
] as const;

const connections = findBinding<Connections>(
  'tcp_wrap',
  ({ TCP, TCPConnectWrap, constants }) =>
    typeof TCP === 'function' &&
    methods.every((name) => typeof (TCP.prototype as Partial<TcpHandle>)[name] === 'function') &&
    typeof TCPConnectWrap === 'function' &&
    typeof constants?.SOCKET === 'number',
);

export const streams: Streams | null = findBinding<Streams>(
  'stream_wrap',
  (found) =>
    typeof found.WriteWrap === 'function' &&
    typeof found.ShutdownWrap === 'function' &&
    found.streamBaseState instanceof Int32Array &&
    typeof found.kReadBytesOrError === 'number' &&
    typeof found.kLastWriteWasAsync === 'number' &&
    connections !== null,
);

function findBinding<Binding>(name: string, isAsExpected: (found: Partial<Binding>) => boolean): Binding | null {
  const { binding } = process as unknown as { binding?: (name: string) => Binding };
  const { noDeprecation } = process;
  try {
    // Where warnings of what is to be deprecated are asked for, there is one for this, which helps nobody.
    process.noDeprecation = true;
    const found = binding?.call(process, name);
    return found !== undefined && isAsExpected(found) ? found : null;
  } catch {
    return null;
  } finally {
    process.noDeprecation = noDeprecation === true;
  }
}

/**
 * Takes the handle away from a socket, which is of no use after that.
 * @returns null where the socket has none: it is left as it is.
 */
export function takeHandle(socket: Socket): TcpHandle | null {
  const carrier = socket as unknown as { _handle: TcpHandle | null };
  const handle = carrier._handle;
  if (!isHandle(handle)) return null;
  carrier._handle = null;
  handle.owner = null;
  return handle;
}

/**
 * Connects to an address.
 * @param onDone called later, with 0 or the error.
 * @returns the handle, or the error where that is known at once.
 */
export function connectHandle(address: string, port: number, onDone: (status: number) => void): TcpHandle | number {
  const { TCP, TCPConnectWrap, constants } = connections as Connections;
  const handle = new TCP(constants.SOCKET);
  const request = new TCPConnectWrap();
  request.oncomplete = onDone;
  const status = isIPv6(address) ? handle.connect6(request, address, port) : handle.connect(request, address, port);
  if (status === 0) return handle;
  handle.close();
  return status;
}

/** The usual socket on a handle. */
export function socketOn(handle: TcpHandle, options: object = {}): Socket {
  return new Socket({ handle, allowHalfOpen: true, pauseOnCreate: true, ...options } as object);
}

/** Whether it is what every Node's sockets have. */
function isHandle(handle: unknown): handle is TcpHandle {
  return typeof handle === 'object' && handle !== null && 'readStart' in handle && 'getpeername' in handle;
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
