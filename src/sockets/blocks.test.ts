import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { until } from '../../test/helpers/until.ts';
import { createAcceptor } from './accept.ts';
import { blockBytes, ReadBlock } from './blocks.ts';
import type { ByteSocket, SocketHandler } from './byte-socket.ts';
import { TcpSocket } from './tcp-socket.ts';

const cleanUp: (() => void)[] = [];
afterEach(() => {
  for (const undo of cleanUp.splice(0)) undo();
});

/** Passes everything on to its targets, and pauses while one of them does not keep up. */
class Relay implements SocketHandler {
  isStreaming = true;
  reads = 0;
  isClosed = false;
  socket!: ByteSocket;
  targets: readonly ByteSocket[] = [];
  /** Whether a target is flushed within the call or later. */
  flushesAtOnce: (target: number) => boolean = () => true;
  onBytes(bytes: Buffer, length: number): void {
    this.reads++;
    for (const target of this.targets) target.appendBytes(bytes, 0, length);
    this.targets.forEach((target, i) => {
      if (this.flushesAtOnce(i)) target.flush();
      else setImmediate(() => target.flush());
    });
    if (this.targets.some(({ isFlowing }) => !isFlowing)) this.socket.pause();
  }
  onEnd(): void {
    setImmediate(() => {
      for (const target of this.targets) target.end();
    });
  }
  onDrain(): void {}
  onConnected(): void {}
  onFinished(): void {}
  onInternalError(error: Error): void {
    throw error;
  }
  onClosed(): void {
    this.isClosed = true;
  }
}

/** Resumes the relay once it has drained. */
class Target extends Relay {
  readonly from: Relay;
  constructor(from: Relay) {
    super();
    this.from = from;
  }
  override onBytes(): void {}
  override onDrain(): void {
    if (this.from.targets.every(({ isFlowing }) => isFlowing)) this.from.socket.resume();
  }
}

/** One connection for each handler. @returns their clients. */
async function accepted(handlers: readonly Relay[]): Promise<readonly Socket[]> {
  let next: Relay | undefined;
  const server = createAcceptor((handle) => {
    if (next !== undefined) next.socket = TcpSocket.accepted(handle, next, blockBytes);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanUp.push(() => server.close());
  const clients: Socket[] = [];
  for (const handler of handlers) {
    next = handler;
    const client = connect({ port: (server.address() as AddressInfo).port });
    await until('accepted', () => handler.socket !== undefined);
    client.on('error', () => {});
    clients.push(client);
    cleanUp.push(
      () => client.destroy(),
      () => handler.socket.destroy(),
    );
  }
  return clients;
}

describe('a body that streams through blocks', () => {
  for (const [what, targets, flushesAtOnce] of [
    ['to one', 1, () => true],
    ['to two', 2, () => true],
    ['to three, two of which are flushed after the read', 3, (i: number) => i === 1],
  ] as const) {
    it(`arrives as it was sent, ${what}, even if readers are slow`, async () => {
      const relay = new Relay();
      relay.flushesAtOnce = flushesAtOnce;
      const handlers = Array.from({ length: targets }, () => new Target(relay));
      const [sender, ...readers] = (await accepted([relay, ...handlers])) as [Socket, ...Socket[]];
      relay.targets = handlers.map(({ socket }) => socket);
      const sent = randomBytes(24 * 1024 * 1024);
      const received = readers.map((reader, i) => {
        const hash = createHash('sha256');
        let length = 0;
        reader.on('data', (data) => {
          hash.update(data);
          length += data.length;
          // Pauses for a moment now and then.
          if (i % 2 === 0 && length % 7 === 0) {
            reader.pause();
            setTimeout(() => reader.resume(), 2);
          }
        });
        return once(reader, 'end').then(() => hash.digest('hex'));
      });
      relay.socket.resume();
      sender.end(sent);
      const expected = createHash('sha256').update(sent).digest('hex');
      assert.deepEqual(
        await Promise.all(received),
        readers.map(() => expected),
      );
      assert.ok(relay.reads > 24);
    });
  }

  it('gives back every block, even if connections are destroyed with pending writes', async () => {
    const relays = Array.from({ length: 20 }, () => new Relay());
    const targets = relays.map((relay) => new Target(relay));
    const clients = await accepted([...relays, ...targets]);
    relays.forEach((relay, i) => {
      relay.targets = [(targets[i] as Target).socket];
      relay.socket.resume();
    });
    // Nobody reads, so the writes stay pending.
    const bytes = Buffer.alloc(8 * 1024 * 1024);
    for (const client of clients.slice(0, relays.length)) client.write(bytes);
    await until('all are blocked', () => targets.every(({ socket }) => !socket.isFlowing));
    for (const { socket } of [...relays, ...targets]) socket.destroy();
    await until('all are closed', () => [...relays, ...targets].every(({ isClosed }) => isClosed));
    allAreBack();
  });

  it('gives back the block of a connection that is destroyed while its bytes are being handed over', async () => {
    const relay = new Relay();
    const target = new Target(relay);
    const [sender] = (await accepted([relay, target])) as [Socket];
    relay.targets = [target.socket];
    const onBytes = relay.onBytes.bind(relay);
    relay.onBytes = (bytes, length) => {
      onBytes(bytes, length);
      if (relay.reads === 8) relay.socket.destroy();
    };
    relay.flushesAtOnce = () => false;
    relay.socket.resume();
    sender.write(Buffer.alloc(4 * 1024 * 1024));
    await until('it is closed', () => relay.isClosed);
    target.socket.destroy();
    await until('the other is closed', () => target.isClosed);
    allAreBack();
  });

  function allAreBack(): void {
    const blocks = [];
    for (let block = ReadBlock.take(); block !== null; block = ReadBlock.take()) blocks.push(block);
    for (const block of blocks) block.leave();
    assert.equal(blocks.length, 64);
    assert.equal(new Set(blocks.map((block) => block.bytes.buffer)).size, 64);
  }
});
