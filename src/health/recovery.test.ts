import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../../test/helpers/until.ts';
import { systemClock } from '../base/clock.ts';
import type { DownMark } from '../routing/backend.ts';
import { backendTls } from '../tls/backend-tls.ts';
import { type MarkStore, RecoveryProbes } from './recovery.ts';

/** A store with one record a pattern. */
class Records implements MarkStore {
  readonly records = new Map<string, { frontend: string[]; down: Map<string, DownMark> }>();
  readonly prolonged: string[] = [];
  /** How many patterns each reading was of. */
  readonly pages: number[] = [];
  writes = 0;
  writesMost = 0;
  isGone = false;

  set(pattern: string, url: string, mark: DownMark): void {
    this.records.set(pattern, { frontend: [pattern, url], down: new Map([[url, mark]]) });
  }

  readonly routes = {
    read: async (patterns: readonly string[]) => {
      this.pages.push(patterns.length);
      if (this.isGone) throw new Error('gone');
      return patterns.map((pattern) => this.records.get(pattern) ?? null);
    },
  };

  readonly marks = {
    write: async (pattern: string, url: string, mark: DownMark) => {
      this.prolonged.push(pattern);
      this.records.get(pattern)?.down.set(url, mark);
    },
    remove: async (pattern: string, url: string) => {
      this.writes++;
      this.writesMost = Math.max(this.writesMost, this.writes);
      await new Promise((resolve) => setImmediate(resolve));
      this.writes--;
      this.records.get(pattern)?.down.delete(url);
    },
  };

  isDown(pattern: string): boolean {
    return (this.records.get(pattern)?.down.size ?? 0) > 0;
  }
}

interface Backend {
  readonly url: string;
  readonly requests: string[];
  response: string;
}

/** @param path of a Unix socket; default: a free port. */
async function backend(t: TestContext, response: string, path?: string): Promise<Backend> {
  const requests: string[] = [];
  const server: Server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      requests.push(bytes.toString('latin1'));
      if (self.response === '') socket.destroy();
      else socket.write(self.response);
    });
  });
  const place = path === undefined ? { host: '127.0.0.1', port: 0 } : { path };
  await new Promise<void>((resolve) => server.listen(place, resolve));
  t.after(() => server.close());
  const address = server.address() as { port: number } | string;
  const authority = typeof address === 'string' ? encodeURIComponent(address) : `127.0.0.1:${address.port}`;
  const scheme = typeof address === 'string' ? 'http+unix' : 'http';
  const self: Backend = { url: `${scheme}://${authority}`, requests, response };
  return self;
}

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

function mark(reason: string, instance = 'own'): DownMark {
  return { untilMs: Date.now() + 30_000, sinceMs: Date.now(), reason, instance };
}

function probes(
  t: TestContext,
  store: MarkStore,
  onProblem = (_what: string, error: Error): void => assert.fail(error),
  isChecked = (_pattern: string): boolean => false,
): RecoveryProbes {
  const recovery = new RecoveryProbes({
    store,
    instance: 'own',
    downMs: 30_000,
    everyMs: 5,
    timeoutMs: 20_000,
    tls: backendTls([], true),
    resolver: { watch: () => assert.fail('no backend has a name') },
    version: 'test',
    clock: systemClock,
    log: { info: () => {} },
    onProblem,
    isChecked,
  });
  t.after(() => recovery.close());
  return recovery;
}

describe('a marked backend', () => {
  test('that answers again is unmarked, for every host that this instance marked it for', async (t) => {
    const store = new Records();
    const { url, requests } = await backend(t, ok);
    const recovery = probes(t, store);
    for (const pattern of ['a.test', '*.b.test']) {
      store.set(pattern, url, mark('BACKEND_CONNECT_REFUSED'));
      recovery.marked({ pattern, url, mark: mark('BACKEND_CONNECT_REFUSED') });
    }
    await until('no mark', () => !store.isDown('a.test') && !store.isDown('*.b.test') && recovery.size === 0);
    assert.match(requests[0] ?? '', /^GET \/ HTTP\/1\.1\r\nHost: a\.test\r\nUser-Agent: hipache-probe\/test\r\n/);
    assert.equal(recovery.counters.recovered, 2);
  });

  test('on a Unix socket is probed there', async (t) => {
    const store = new Records();
    const directory = mkdtempSync(join(tmpdir(), 'hipache-probe-'));
    t.after(() => rmSync(directory, { recursive: true }));
    const { url, requests } = await backend(t, ok, join(directory, 'app.sock'));
    store.set('*', url, mark('BACKEND_CONNECT_REFUSED'));
    probes(t, store).marked({ pattern: '*', url, mark: mark('BACKEND_CONNECT_REFUSED') });
    await until('no mark', () => !store.isDown('*'));
    assert.match(requests[0] ?? '', /\r\nHost: localhost\r\n/);
  });

  test('that is still down stays marked, and the mark is prolonged before it ends', async (t) => {
    const store = new Records();
    const url = 'http://127.0.0.1:1';
    store.set('a.test', url, { ...mark('BACKEND_CONNECT_REFUSED'), untilMs: Date.now() + 15_000 });
    const recovery = probes(t, store);
    recovery.marked({ pattern: 'a.test', url, mark: mark('BACKEND_CONNECT_REFUSED') });
    await until('a longer mark', () => store.prolonged.length > 0);
    assert.ok((store.records.get('a.test')?.down.get(url)?.untilMs ?? 0) > Date.now() + 16_000);
  });

  test('that closes without a response stays marked', async (t) => {
    const store = new Records();
    const { url, requests } = await backend(t, '');
    store.set('a.test', url, mark('BACKEND_RESET'));
    probes(t, store).marked({ pattern: 'a.test', url, mark: mark('BACKEND_RESET') });
    await until('some probes', () => requests.length >= 3);
    assert.equal(store.isDown('a.test'), true);
  });

  test('for a status needs good responses in a row, and is never prolonged', async (t) => {
    const store = new Records();
    const failing = await backend(t, ok.replace('200 OK', '503 Down'));
    // So near its end that one which a connection has brought would be prolonged.
    store.set('a.test', failing.url, { ...mark('status 503'), untilMs: Date.now() + 15_000 });
    const recovery = probes(t, store);
    recovery.marked({ pattern: 'a.test', url: failing.url, mark: mark('status 503') });
    await until('some probes', () => failing.requests.length >= 3);
    assert.equal(store.isDown('a.test'), true);
    assert.deepEqual(store.prolonged, []);
    const before = failing.requests.length;
    failing.response = ok;
    await until('no mark', () => !store.isDown('a.test'));
    assert.ok(failing.requests.length >= before + 2);
  });

  test('of another instance, or of a backend that has left the record, is not probed', async (t) => {
    const store = new Records();
    const { url, requests } = await backend(t, ok);
    store.set('a.test', url, mark('BACKEND_RESET', 'other'));
    store.set('b.test', 'http://127.0.0.1:1', mark('BACKEND_RESET'));
    const recovery = probes(t, store);
    for (const pattern of ['a.test', 'b.test', 'gone.test']) {
      recovery.marked({ pattern, url, mark: mark('BACKEND_RESET') });
    }
    await until('nothing to probe', () => recovery.size === 0);
    assert.deepEqual(requests, []);
    assert.equal(store.isDown('a.test'), true);
  });

  test('of a host with health checks is left to them, though not for other hosts', async (t) => {
    const store = new Records();
    const { url, requests } = await backend(t, ok);
    const recovery = probes(t, store, undefined, (pattern) => pattern === 'checked.test');
    for (const pattern of ['checked.test', 'a.test']) {
      store.set(pattern, url, mark('BACKEND_RESET'));
      recovery.marked({ pattern, url, mark: mark('BACKEND_RESET') });
    }
    await until('one mark', () => recovery.marks.length === 1);
    assert.equal(store.isDown('a.test'), false);
    assert.equal(store.isDown('checked.test'), true);
    assert.equal(requests.length, 1);
  });

  test('of a host whose health checks are turned off is probed from then on', async (t) => {
    const store = new Records();
    const { url, requests } = await backend(t, ok);
    let isChecked = true;
    const recovery = probes(t, store, undefined, () => isChecked);
    store.set('a.test', url, mark('BACKEND_RESET'));
    recovery.marked({ pattern: 'a.test', url, mark: mark('BACKEND_RESET') });
    await delay(100);
    assert.deepEqual(requests, []);
    isChecked = false;
    await until('no mark', () => !store.isDown('a.test') && recovery.size === 0);
    assert.equal(requests.length, 1);
  });

  test('for more hosts than are tracked is unmarked for as many, by one probe', async (t) => {
    const store = new Records();
    const { url, requests } = await backend(t, ok);
    const recovery = probes(t, store);
    const patterns = Array.from({ length: 12_000 }, (_, index) => `h${index}.test`);
    for (const pattern of patterns) {
      store.set(pattern, url, mark('BACKEND_RESET'));
      recovery.marked({ pattern, url, mark: mark('BACKEND_RESET') });
    }
    assert.equal(recovery.marks.length, 10_000);
    assert.equal(recovery.counters.dropped, 2000);
    await until('no more to probe', () => recovery.size === 0);
    assert.equal(recovery.counters.recovered, 10_000);
    assert.equal(patterns.filter((pattern) => store.isDown(pattern)).length, 2000);
    assert.equal(requests.length, 1);
    assert.equal(Math.max(...store.pages), 256);
    assert.equal(store.writesMost, 16);
    recovery.marked({ pattern: 'later.test', url, mark: mark('BACKEND_RESET') });
    assert.equal(recovery.size, 1);
  });

  test('is forgotten when its mark has ended, also while the store cannot be read', async (t) => {
    const store = new Records();
    const url = 'http://127.0.0.1:1';
    const problems: string[] = [];
    const recovery = probes(t, store, (_what, { message }) => problems.push(message));
    store.isGone = true;
    recovery.marked({ pattern: 'a.test', url, mark: { ...mark('BACKEND_RESET'), untilMs: Date.now() + 200 } });
    recovery.marked({ pattern: 'b.test', url, mark: mark('BACKEND_RESET') });
    await until('one mark', () => recovery.marks.length === 1);
    assert.deepEqual(
      recovery.marks.map(({ pattern }) => pattern),
      ['b.test'],
    );
    await until('a reading that fails', () => problems.length > 0);
    assert.equal(recovery.counters.probes, 0);
    assert.equal(recovery.size, 1);
  });
});
