import { createServer } from 'node:net';

/**
 * A port that was free a moment ago, for a program that needs a fixed one.
 * @param from the first port to try, in ascending order; default: any.
 */
export async function freePort(from = 0): Promise<number> {
  const server = createServer();
  const listens = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(from, '127.0.0.1', () => resolve(true));
  });
  if (!listens) return freePort(from + 1);
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
