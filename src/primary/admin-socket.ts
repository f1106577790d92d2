import { chmodSync, lstatSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { HipacheError } from '../base/errors.ts';
import { hostPort } from '../base/host-port.ts';
import { listenFailure } from '../base/listen-failure.ts';
import type { AdminBind } from '../config/admin.ts';

/** Owner and group. */
const socketMode = 0o660;

/** The address of the admin API, until a process serves it. */
export class AdminSocket {
  readonly url: string;
  private readonly server: Server;
  /** The socket in the file system; null for none. */
  private readonly file: SocketFile | null;

  private constructor(server: Server, url: string, file: SocketFile | null) {
    this.server = server;
    this.url = url;
    this.file = file;
  }

  /** @param onConnection a client has come. It is not read. @throws HipacheError LISTEN_FAILED. */
  static async open(bind: AdminBind, onConnection: (client: Socket) => void): Promise<AdminSocket> {
    const server = createServer({ pauseOnConnect: true }, onConnection);
    if (bind.kind === 'tcp') {
      await listen(server, { port: bind.port, host: bind.address }).catch(({ code }: NodeJS.ErrnoException) => {
        throw listenFailure(bind.address, bind.port, code ?? '');
      });
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : bind.port;
      return new AdminSocket(server, hostPort(bind.address, port), null);
    }
    const { path } = bind;
    // libuv removes the name that it has bound when it closes the socket, also if another program has put its own there.
    const fresh = `${path}.${process.pid}`;
    try {
      mkdirSync(dirname(path), { recursive: true, mode: 0o750 });
      if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() === false) {
        throw unusable(path, 'there is something that is no socket; set admin.bind');
      }
      if (await isServed(path)) throw unusable(path, 'another program listens there; set admin.bind');
      rmSync(fresh, { force: true });
      await listen(server, { path: fresh });
      chmodSync(fresh, socketMode);
      renameSync(fresh, path);
      return new AdminSocket(server, `unix:${path}`, { path, inode: inodeOf(path) });
    } catch (error) {
      server.close();
      if (error instanceof HipacheError) throw error;
      const { code = '', message } = error as NodeJS.ErrnoException;
      throw unusable(path, hints[code] ?? message);
    }
  }

  /** The descriptor, which another process may inherit. */
  get descriptor(): number {
    const { _handle: handle } = this.server as unknown as { readonly _handle: { readonly fd: number } | null };
    return handle?.fd ?? -1;
  }

  /** This process accepts nobody any more; another one may. */
  release(): void {
    this.server.close();
  }

  /** The address is free again. */
  close(): void {
    this.server.close();
    // Another program may listen there by now.
    if (this.file !== null && inodeOf(this.file.path) === this.file.inode) rmSync(this.file.path, { force: true });
  }
}

interface SocketFile {
  readonly path: string;
  readonly inode: number;
}

/** Codes of errors. */
const hints: Readonly<Record<string, string>> = {
  EACCES: 'its directory cannot be made, or is not writable for the user that the proxy runs as',
};

async function listen(server: Server, options: { path: string } | { port: number; host: string }): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options, resolve);
  });
  server.on('error', () => {});
}

/**
 * Whether another program listens at a path. A connection would be a client there, for which it would start a process, so
 * the kernel is asked instead.
 */
function isServed(path: string): Promise<boolean> {
  try {
    return Promise.resolve(listeningPaths().some((bound) => bound === path || isFresh(bound, path)));
  } catch {
    // Not Linux.
    return answers(path);
  }
}

/** Whether a name is one under which another process has bound the socket. */
function isFresh(bound: string, path: string): boolean {
  const pid = bound.startsWith(`${path}.`) ? bound.slice(path.length + 1) : '';
  return /^\d+$/.test(pid) && pid !== String(process.pid);
}

/** Flags of a socket that listens (`__SO_ACCEPTCON`). */
const listeningFlags = '00010000';

function listeningPaths(): string[] {
  return readFileSync('/proc/net/unix', 'latin1')
    .split('\n')
    .filter((line) => line.split(' ', 4)[3] === listeningFlags)
    .map((line) => Buffer.from(line.slice(line.indexOf('/')), 'latin1').toString());
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    // Only these mean that nobody is there.
    socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code !== 'ENOENT' && code !== 'ECONNREFUSED'));
  });
}

/** 0 if there is nothing. */
function inodeOf(path: string): number {
  return lstatSync(path, { throwIfNoEntry: false })?.ino ?? 0;
}

function unusable(path: string, why: string): HipacheError {
  return new HipacheError('LISTEN_FAILED', `cannot listen on unix:${path}: ${why}`);
}
