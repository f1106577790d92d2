import { createServer, type Server } from 'node:net';
import { isHandle, systemError, type TcpHandle, takeHandle } from './tcp-handle.ts';

/** What of Node's listening handle is used. */
interface ListeningHandle {
  onconnection?: (status: number, accepted: unknown) => void;
}

/**
 * A server that hands over each connection as its handle, without a socket around it where Node allows that.
 * What fails while it listens is emitted as `error`, and it listens on.
 */
export function createAcceptor(onAccepted: (handle: TcpHandle) => void): Server {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true }, (socket) => {
    const handle = takeHandle(socket);
    if (handle === null) socket.destroy(new Error('the connection has no handle of the kind that is known'));
    else onAccepted(handle);
  });
  server.on('listening', () => {
    const listening = (server as unknown as { _handle: ListeningHandle | null })._handle;
    if (typeof listening?.onconnection !== 'function') return;
    const usual = listening.onconnection;
    listening.onconnection = function (status, accepted): void {
      if (status !== 0) {
        server.emit('error', systemError(status, 'accept'));
      } else if (isHandle(accepted)) {
        accepted.setNoDelay(true);
        onAccepted(accepted);
      } else {
        usual.call(this, status, accepted);
      }
    };
  });
  return server;
}
