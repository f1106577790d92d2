import assert from 'node:assert/strict';
import { connect, createServer, type Server } from 'node:net';
import { describe, test } from 'node:test';
import { ListenSockets } from './listen-sockets.ts';

async function listening(fd: number): Promise<Server> {
  const server = createServer((socket) => socket.end('hello'));
  await new Promise<void>((resolve) => server.listen({ fd }, resolve));
  return server;
}

function reached(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.once('data', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

describe('listen sockets', () => {
  for (const address of ['127.0.0.1', '::1', 'localhost', '::']) {
    test(`share ${address} and one free port, and accept as soon as one of them listens`, async () => {
      const sockets = await ListenSockets.bind(address, 0, 3);
      assert.equal(sockets.descriptors.length, 3);
      assert.equal(new Set(sockets.descriptors).size, 3);
      assert.ok(sockets.port > 0);
      const host = address === '::' ? '127.0.0.1' : address;
      assert.equal(await reached(host, sockets.port), false);
      const servers = await Promise.all(sockets.descriptors.map(listening));
      for (let count = 0; count < 10; count++) assert.equal(await reached(host, sockets.port), true);
      for (const server of servers) server.close();
    });
  }

  test('are refused if another program listens on the address, even with a shared port', async () => {
    const first = await ListenSockets.bind('127.0.0.1', 0, 2);
    const server = await listening(first.descriptors[0] as number);
    await assert.rejects(ListenSockets.bind('127.0.0.1', first.port, 2), {
      code: 'LISTEN_FAILED',
      message: `cannot listen on 127.0.0.1:${first.port}: another program listens there; stop it, or set another port`,
    });
    server.close();
  });

  test('are refused for an address of another machine, and for an unknown name', async () => {
    await assert.rejects(
      ListenSockets.bind('192.0.2.1', 0, 1),
      /cannot listen on 192\.0\.2\.1:0: this machine has no such/,
    );
    await assert.rejects(
      ListenSockets.bind('2001:db8::1', 80, 1),
      /cannot listen on \[2001:db8::1\]:80: this machine has/,
    );
    await assert.rejects(ListenSockets.bind('nobody.invalid', 80, 1), { code: 'LISTEN_FAILED' });
  });
});
