import { Socket } from 'node:net';
import { getSystemErrorName } from 'node:util';
import { isSocketPath } from '../base/host-port.ts';

/**
 * What lies below `net.Socket`: libuv's handle, and the requests that connect it and write to it. They are not public,
 * and only this file looks for them. If a version of Node lacks them or has others, `streams` is null and connections
 * are served through `net.Socket`, which behaves the same but costs more.
 */

/** libuv's TCP connection. Calls return 0 or one of libuv's negative error numbers. */
export interface TcpHandle {
  /** Called for each read; `state[kReadBytesOrError]` is its length. May return another buffer for the next read. */
  onread: (this: TcpHandle) => Buffer | undefined;
  /** The `net.Socket`, which this reference would keep alive. */
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
  getpeername(peer: { address?: string; port?: number }): number;
  connect(request: ConnectRequest, address: string, port: number): number;
  connect6(request: ConnectRequest, address: string, port: number): number;
}

/** libuv uses it only if a write could not complete at once. */
export interface WriteRequest {
  oncomplete: ((this: this, status: number) => void) | undefined;
}

interface ShutdownRequest {
  oncomplete: ((this: this, status: number) => void) | undefined;
}

/** libuv's connection to a Unix socket, with the same methods except those that only TCP has. */
interface PipeHandle extends Omit<TcpHandle, 'connect' | 'connect6'> {
  connect(request: ConnectRequest, path: string): number;
}

interface ConnectRequest {
  oncomplete: ((this: this, status: number) => void) | undefined;
}

export interface Streams {
  readonly WriteWrap: new () => WriteRequest;
  readonly ShutdownWrap: new () => ShutdownRequest;
  /** Further results of the last call of a handle or of `onread`. */
  readonly streamBaseState: Int32Array;
  readonly kReadBytesOrError: number;
  readonly kLastWriteWasAsync: number;
}

interface Connections {
  readonly TCP: new (kind: number) => TcpHandle;
  readonly TCPConnectWrap: new () => ConnectRequest;
  /** Kinds of handles. */
  readonly constants: { readonly SOCKET: number };
}

interface Pipes {
  readonly Pipe: new (kind: number) => PipeHandle;
  readonly PipeConnectWrap: new () => ConnectRequest;
  readonly constants: { readonly SOCKET: number };
}

/** libuv's code for the end of the peer's data. */
export const endOfStream = -4095;

/** The methods that a handle must have. All are checked before any is used. */
const streamMethods = [
  'useUserBuffer',
  'readStart',
  'readStop',
  'writeLatin1String',
  'writeBuffer',
  'writev',
  'shutdown',
  'close',
  'connect',
] as const;
const methods = [...streamMethods, 'reset', 'setNoDelay', 'setKeepAlive', 'getpeername', 'connect6'] as const;

const connections = findBinding<Connections>(
  'tcp_wrap',
  ({ TCP, TCPConnectWrap, constants }) =>
    typeof TCP === 'function' &&
    methods.every((name) => typeof (TCP.prototype as Partial<TcpHandle>)[name] === 'function') &&
    typeof TCPConnectWrap === 'function' &&
    typeof constants?.SOCKET === 'number',
);

const pipes = findBinding<Pipes>(
  'pipe_wrap',
  ({ Pipe, PipeConnectWrap, constants }) =>
    typeof Pipe === 'function' &&
    streamMethods.every((name) => typeof (Pipe.prototype as Partial<PipeHandle>)[name] === 'function') &&
    typeof PipeConnectWrap === 'function' &&
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
    connections !== null &&
    pipes !== null,
);

function findBinding<Binding>(name: string, isAsExpected: (found: Partial<Binding>) => boolean): Binding | null {
  const { binding } = process as unknown as { binding?: (name: string) => Binding };
  const { noDeprecation } = process;
  try {
    // With warnings about pending deprecations enabled, Node would emit one for this call. It would help nobody.
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
 * Takes the handle out of a socket, which is unusable after that.
 * @returns null if the socket has none; it then stays as it is.
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
 * Connects to an IP address, or to a Unix socket by its absolute path; `port` has no meaning then.
 * @param onDone called later, with 0 or the error number.
 * @returns the handle, or the error number if the call failed at once.
 */
export function connectHandle(address: string, port: number, onDone: (status: number) => void): TcpHandle | number {
  if (isSocketPath(address)) return connectPipe(address, onDone);
  const { TCP, TCPConnectWrap, constants } = connections as Connections;
  const handle = new TCP(constants.SOCKET);
  const request = new TCPConnectWrap();
  request.oncomplete = onDone;
  const status = address.includes(':')
    ? handle.connect6(request, address, port)
    : handle.connect(request, address, port);
  if (status === 0) return handle;
  handle.close();
  return status;
}

function connectPipe(path: string, onDone: (status: number) => void): TcpHandle | number {
  const { Pipe, PipeConnectWrap, constants } = pipes as Pipes;
  const handle = Object.assign(new Pipe(constants.SOCKET), tcpOnly);
  const request = new PipeConnectWrap();
  request.oncomplete = onDone;
  const status = handle.connect(request, path);
  if (status === 0) return handle as unknown as TcpHandle;
  handle.close();
  return status;
}

/** The methods of TCP on a Unix socket, which delays nothing, cannot lose its peer unnoticed, and knows no reset. */
const tcpOnly: Pick<TcpHandle, 'reset' | 'setNoDelay' | 'setKeepAlive'> & ThisType<TcpHandle> = {
  reset(done) {
    this.close(done);
    return 0;
  },
  setNoDelay: () => 0,
  setKeepAlive: () => 0,
};

/** Node's own socket on a handle. */
export function socketOn(handle: TcpHandle, options: object = {}): Socket {
  return new Socket({ handle, allowHalfOpen: true, pauseOnCreate: true, ...options } as object);
}

/** Checks for the methods that every version of Node has. */
function isHandle(handle: unknown): handle is TcpHandle {
  return typeof handle === 'object' && handle !== null && 'readStart' in handle && 'getpeername' in handle;
}

/** The peer's address and port; null if the peer has gone. */
export function peerOf(handle: TcpHandle): { readonly address: string; readonly port: number } | null {
  const peer: { address?: string; port?: number } = {};
  if (handle.getpeername(peer) !== 0 || peer.address === undefined || peer.address === '') return null;
  return { address: peer.address, port: peer.port ?? 0 };
}

/** The error number of a connection that the peer has reset; 0 for one that lives. A write of no bytes finds it out. */
export function resetStatus(handle: Pick<TcpHandle, 'writeLatin1String'>): number {
  if (streams === null) return 0;
  return handle.writeLatin1String(new streams.WriteWrap(), '');
}

/** Writes what the kernel takes at once; the handle is closed next. */
export function writePlain(handle: Pick<TcpHandle, 'writeLatin1String'>, text: string): void {
  if (streams !== null) handle.writeLatin1String(new streams.WriteWrap(), text);
}

/** The error for a number that a handle returned. */
export function systemError(status: number, syscall: string): NodeJS.ErrnoException {
  const code = getSystemErrorName(status);
  return Object.assign(new Error(`${syscall} ${code}`), { errno: status, code, syscall });
}
