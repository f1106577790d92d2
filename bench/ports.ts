import { connect, createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Running } from './processes.ts';

/** How long a server may take until it listens, in ms. */
const listenMsMax = 30_000;

/**
 * Free ports of 127.0.0.1, below those that the kernel gives to clients: a connection of the load cannot take one
 * while its server is still starting.
 */
export async function freePorts(count: number): Promise<readonly number[]> {
  const ports: number[] = [];
  for (let port = 20_000 + Math.floor(Math.random() * 8000); ports.length < count && port < 32_000; port++) {
    if (await isFree(port)) ports.push(port);
  }
  if (ports.length < count) throw new Error(`there are no ${count} free ports between 20000 and 32000`);
  return ports;
}

/** Resolves when the server accepts connections. @throws with its output where it ends or never does. */
export async function untilListening(server: Running, port: number): Promise<void> {
  for (const end = Date.now() + listenMsMax; Date.now() < end; await delay(20)) {
    if (server.exitCode !== null) throw new Error(`${server.name} ended (${server.exitCode}):\n${server.output()}`);
    if (await accepts(port)) return;
  }
  throw new Error(`${server.name} does not listen on port ${port}:\n${server.output()}`);
}

function isFree(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const server = createServer();
  server.once('error', () => resolve(false));
  server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  return promise;
}

function accepts(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(port, '127.0.0.1');
  socket.once('error', () => resolve(false));
  socket.once('connect', () => {
    socket.destroy();
    resolve(true);
  });
  return promise;
}
