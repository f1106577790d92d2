import { createServer } from 'node:net';

/**
 * Below those that the kernel gives to clients and to servers that leave the choice to it: no other test takes one
 * unawares, also while its server restarts.
 */
const ports = { first: 15_000, end: 32_000 };
/** Test files run at the same time: each begins somewhere else. */
let next = ports.first + Math.floor(Math.random() * (ports.end - ports.first));

/**
 * A port that was free a moment ago, for a program that needs a fixed one.
 * @param from the first port to try, in ascending order; default: any that was not given before.
 */
export async function freePort(from?: number): Promise<number> {
  for (let port = from ?? nextPort(); ; port = from === undefined ? nextPort() : port + 1) {
    if (await isFree(port)) return port;
  }
}

function nextPort(): number {
  const port = next++;
  if (next === ports.end) next = ports.first;
  return port;
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const listens = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => resolve(true));
  });
  if (listens) await new Promise<void>((resolve) => server.close(() => resolve()));
  return listens;
}
