import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { RawBackend } from '../helpers/raw-backend.ts';
import { RawClient } from '../helpers/raw-client.ts';
import { TestProxy } from '../helpers/test-proxy.ts';

const bodyBytes = 5_000_000;

describe('a backend that responds before it has read the body', () => {
  for (const [how, end] of [
    ['and closes with the rest unread, so that writing to it fails', 'close'],
    ['and says that it will send no more', 'end'],
  ] as const) {
    test(`${how}: the client gets the response, and no backend is marked (case 9, CVE-2025-4366)`, async (t) => {
      const { proxy, backends } = await start(t);
      for (const one of backends) {
        one.onBytes((peer) => {
          peer.socket.pause();
          one.onBytes(() => {});
          peer.socket.write('HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nno\n', () => {
            if (end === 'end') peer.socket.end();
            else peer.socket.destroy();
          });
        });
      }
      const client = await RawClient.connect(proxy.port);
      client.send(`POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: ${bodyBytes}\r\n\r\n${'x'.repeat(bodyBytes)}`);
      await client.expect('no\n');
      assert.deepEqual(client.statuses, [413]);
      await client.untilEnded();
      assert.deepEqual(proxy.marks, []);
      client.close();
    });
  }

  test('a reset during an upload marks no backend, because a client could provoke it', async (t) => {
    const { proxy, backends } = await start(t);
    for (const one of backends) one.onBytes((peer) => peer.socket.resetAndDestroy());
    const client = await RawClient.connect(proxy.port);
    client.send(`POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: ${bodyBytes}\r\n\r\nonly the beginning`);
    await client.expect('502');
    assert.deepEqual(proxy.marks, []);
    client.close();
  });
});

/** A proxy with a route to two raw backends, stopped after the test. */
async function start(t: TestContext): Promise<{ proxy: TestProxy; backends: readonly RawBackend[] }> {
  const backends = [await RawBackend.start(), await RawBackend.start()];
  const proxy = await TestProxy.start({ 'a.test': backends.map(({ url }) => url) });
  t.after(async () => {
    proxy.stop();
    for (const backend of backends) await backend.stop();
  });
  return { proxy, backends };
}
