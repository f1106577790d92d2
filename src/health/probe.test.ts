import assert from 'node:assert/strict';
import { createServer, type Socket } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import type { NameResolver } from '../dns/name-resolver.ts';
import { parseBackendUrl } from '../routing/backend-url.ts';
import { backendTls } from '../tls/backend-tls.ts';
import { type ProbeResult, probe } from './probe.ts';

type Watch = NameResolver['watch'];

/** @returns the port of a server that does so with every connection. */
async function server(t: TestContext, onSocket: (socket: Socket) => void, host = '127.0.0.1'): Promise<number> {
  const sockets = new Set<Socket>();
  const listening = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    onSocket(socket);
  });
  await new Promise<void>((resolve) => listening.listen(0, host, resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    listening.close();
  });
  return (listening.address() as { port: number }).port;
}

function probed(url: string, timeoutMs: number, watch: Watch): Promise<ProbeResult> {
  const tls = backendTls([], true);
  return probe({ target: parseBackendUrl(url), host: 'a.test', tls, resolver: { watch }, timeoutMs, version: 'test' });
}

const at = (addresses: readonly string[]): Watch => {
  return (_name, { onAddresses }) => {
    queueMicrotask(() => onAddresses(addresses));
    return { close: () => {} } as ReturnType<Watch>;
  };
};

describe('a probe', () => {
  test('of a backend that never responds ends in time', async (t) => {
    const port = await server(t, () => {});
    const result = await probed(`http://127.0.0.1:${port}`, 100, at([]));
    assert.deepEqual(result, { status: 0, problem: 'no response in time' });
  });

  test('of a name that is never resolved ends in time', async () => {
    const never: Watch = () => ({ close: () => {} }) as ReturnType<Watch>;
    const result = await probed('http://app.internal:80', 100, never);
    assert.deepEqual(result, { status: 0, problem: 'its name was not resolved in time' });
  });

  test('tries the next address of a name, and all of them share the time', async (t) => {
    const ok = (socket: Socket): void => void socket.on('data', () => socket.write('HTTP/1.1 204 No Content\r\n\r\n'));
    const port = await server(t, ok, '127.0.0.2');
    // Nobody listens at the first one.
    const result = await probed(`http://app.internal:${port}`, 5000, at(['127.0.0.1', '127.0.0.2']));
    assert.equal(result.status, 204);
    const silent = await server(t, () => {});
    const startMs = performance.now();
    const late = await probed(`http://app.internal:${silent}`, 200, at(['127.0.0.1', '127.0.0.1', '127.0.0.1']));
    assert.deepEqual(late, { status: 0, problem: 'no response in time' });
    assert.ok(performance.now() - startMs < 550, 'three times the time would be 600 ms');
  });
});
