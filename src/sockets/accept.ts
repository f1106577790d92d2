import { createServer, type Server } from 'node:net';
import { streams, systemError, type TcpHandle, takeHandle } from './tcp-handle.ts';

/** The part of Node's listening handle that is used here. */
interface ListeningHandle {
  onconnection?: (status: number, accepted: TcpHandle) => void;
}

/**
 * A server that passes on each connection as a bare handle, if Node allows it without a socket in between. It emits
 * `error` for failures while it listens, and continues to listen.
 */
export function createAcceptor(onAccepted: (handle: TcpHandle) => void): Server {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true }, (socket) => {
    const handle = takeHandle(socket);
    if (handle === null) {
      socket.destroy();
      server.emit('error', new Error('an accepted connection has no handle'));
    } else {
      onAccepted(handle);
    }
  });
  server.on('listening', () => {
    const listening = (server as unknown as { _handle: ListeningHandle | null })._handle;
    if (streams === null || typeof listening?.onconnection !== 'function') return;
    listening.onconnection = (status, accepted) => {
      if (status !== 0) {
        server.emit('error', systemError(status, 'accept'));
      } else {
        accepted.setNoDelay(true);
        onAccepted(accepted);
      }
    };
  });
  return server;
}
