import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Server } from 'node:net';
import { describe, test } from 'node:test';
import { freePort } from '../../test/helpers/free-port.ts';
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

/** Whether another instance could not take the address. */
function isReserved(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(true));
    server.listen(`\0hipache-listen:127.0.0.1:${port}`, () => server.close(() => resolve(false)));
  });
}

describe('listen sockets', () => {
  for (const address of ['127.0.0.1', '::1', 'localhost', '::']) {
    test(`share ${address} and one free port, and accept as soon as one of them listens`, async () => {
      const sockets = await ListenSockets.bind(address, 0, 3, null);
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
    const first = await ListenSockets.bind('127.0.0.1', 0, 2, null);
    const server = await listening(first.descriptors[0] as number);
    await assert.rejects(ListenSockets.bind('127.0.0.1', first.port, 2, null), {
      code: 'LISTEN_FAILED',
      message: `cannot listen on 127.0.0.1:${first.port}: another program listens there; stop it, or set another port`,
    });
    server.close();
  });

  test('are refused while another instance has bound the address but does not listen yet', async () => {
    const port = await freePort();
    const rivalry = { beside: false, untilMs: 0, onWait: () => {} };
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(`\0hipache-listen:127.0.0.1:${port}`, resolve));
    await assert.rejects(ListenSockets.bind('127.0.0.1', port, 1, rivalry), /another program listens there/);
    const beside = await ListenSockets.bind('127.0.0.1', port, 1, { ...rivalry, beside: true });
    beside.close();
    let waited = 0;
    const untilMs = Number.POSITIVE_INFINITY;
    const onWait = () => {
      waited++;
      other.close();
    };
    const sockets = await ListenSockets.bind('127.0.0.1', port, 1, { beside: false, untilMs, onWait });
    assert.equal(waited, 1);
    assert.equal(await isReserved(port), true);
    // The same address by another name.
    (await ListenSockets.bind('127.0.0.1', port, 1, rivalry)).close();
    assert.equal(await isReserved(port), true);
    sockets.listening();
    assert.equal(await isReserved(port), false);
    sockets.close();
    const again = await ListenSockets.bind('127.0.0.1', port, 1, rivalry);
    again.close();
    assert.equal(await isReserved(port), false);
  });

  test('of root are not held up by another user', {
    skip: process.getuid?.() !== 0 && 'only root can start a program as another user',
  }, async (t) => {
    const port = await freePort();
    const name = JSON.stringify(`\0hipache-listen:127.0.0.1:${port}`);
    const code = `require('node:net').createServer().listen(${name}, () => process.stdout.write('ready'))`;
    const other = spawn(process.execPath, ['-e', code], { uid: 65_534, gid: 65_534, cwd: '/' });
    t.after(() => other.kill('SIGKILL'));
    await once(other.stdout, 'data');
    assert.equal(await isReserved(port), true);
    const sockets = await ListenSockets.bind('127.0.0.1', port, 1, { beside: false, untilMs: 0, onWait: () => {} });
    sockets.close();
  });

  test('are refused for an address of another machine, and for an unknown name', async () => {
    await assert.rejects(
      ListenSockets.bind('192.0.2.1', 0, 1, null),
      /cannot listen on 192\.0\.2\.1:0: this machine has no such/,
    );
    await assert.rejects(
      ListenSockets.bind('2001:db8::1', 80, 1, null),
      /cannot listen on \[2001:db8::1\]:80: this machine has/,
    );
    await assert.rejects(ListenSockets.bind('nobody.invalid', 80, 1, null), { code: 'LISTEN_FAILED' });
  });
});
