import { freePort } from './free-port.ts';
import { ServerFailure } from './server-process.ts';

/** Attempts to start a server, each on other ports. */
const attempts = 5;

/** A server that has its ports, but does not run yet. */
interface Startable {
  /** @throws {ServerFailure} if another process has one of the ports. */
  start(): Promise<void>;
  /** Ends what runs, and removes its files. */
  remove(): Promise<void>;
}

/**
 * Starts a server that needs fixed ports: another process may be given one of them before the server has it.
 * @param count of the ports.
 * @param make is called for each attempt.
 */
export async function startOnFreePorts<Server extends Startable>(
  count: number,
  make: (ports: readonly number[]) => Server,
): Promise<Server> {
  for (let left = attempts - 1; ; left--) {
    const ports: number[] = [];
    while (ports.length < count) ports.push(await freePort());
    const server = make(ports);
    try {
      await server.start();
      return server;
    } catch (error) {
      await server.remove();
      if (left === 0 || !(error instanceof ServerFailure && error.isPortTaken)) throw error;
    }
  }
}
