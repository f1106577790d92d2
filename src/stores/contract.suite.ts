import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { DownMark } from '../routing/backend.ts';
import type { ChangeListener, Store } from './contract.ts';

/** Where one run of the suite keeps its data: made once, opened as often as wanted, each time like another process. */
export interface StoreLocation {
  open(): Promise<Store>;
  /** Writes a record past the driver, as an operator or another program may have. */
  writeRaw(pattern: string, record: readonly unknown[]): Promise<void>;
  /** Whether an element of a record may be something other than a text, and a record be empty. */
  readonly oddElements: boolean;
  /** Whether the store can tell what changed; else everything expires, again and again. Default true. */
  readonly tells?: boolean;
  /** Ways to write what is no record at all. */
  readonly writeBroken: readonly ((pattern: string) => Promise<void>)[];
  /** The same of certificates, none where the store cannot hold any. */
  readonly writeBrokenCertificate?: readonly ((pattern: string) => Promise<void>)[];
  /** Removes everything. */
  dispose(): Promise<void>;
}

/** What every store driver has to do. `name` is that of the driver; each run gets its own location from `make`. */
export function describeStore(name: string, make: () => Promise<StoreLocation>): void {
  describe(`store contract: ${name}`, () => {
    let location: StoreLocation;
    let store: Store;
    let other: Store;

    before(async () => {
      location = await make();
      store = await location.open();
      other = await location.open();
    });

    after(async () => {
      await Promise.all([store?.close(), other?.close()]);
      await location?.dispose();
    });

    test('a pattern without a record is null', async () => {
      assert.deepEqual(await store.read(['absent.example']), [null]);
      assert.deepEqual(await store.read([]), []);
    });

    test('records come in the order in which they are asked for', async () => {
      await store.set('order-a.example', null, ['http://a:1']);
      await store.set('order-b.example', null, ['http://b:1']);
      const hosts = await store.read(['order-b.example', 'order-none.example', 'order-a.example', 'order-b.example']);
      assert.deepEqual(
        hosts.map((host) => host?.frontend),
        [
          ['order-b.example', 'http://b:1'],
          undefined,
          ['order-a.example', 'http://a:1'],
          ['order-b.example', 'http://b:1'],
        ],
      );
    });

    test('what one process writes, another reads once it is acknowledged', async () => {
      await store.set('shared.example', 'one', ['http://a:1', 'http://b:1#weight=2']);
      assert.deepEqual((await other.read(['shared.example']))[0]?.frontend, [
        'one',
        'http://a:1',
        'http://b:1#weight=2',
      ]);
      await other.set('shared.example', 'two', []);
      assert.deepEqual((await store.read(['shared.example']))[0]?.frontend, ['two']);
    });

    test('set without an identifier keeps the one that is there, else takes the pattern', async () => {
      await store.set('id.example', null, ['http://a:1']);
      assert.deepEqual((await store.read(['id.example']))[0]?.frontend, ['id.example', 'http://a:1']);
      await store.set('id.example', 'named', ['http://a:1']);
      await store.set('id.example', null, ['http://b:1']);
      assert.deepEqual((await store.read(['id.example']))[0]?.frontend, ['named', 'http://b:1']);
    });

    test('add appends what is missing, once, and makes the record where there is none', async () => {
      await store.add('add.example', ['http://a:1']);
      await store.add('add.example', ['http://a:1', 'http://b:1', 'http://b:1']);
      assert.deepEqual((await store.read(['add.example']))[0]?.frontend, ['add.example', 'http://a:1', 'http://b:1']);
      await store.add('add.example', ['http://a:1#weight=4']);
      assert.deepEqual((await store.read(['add.example']))[0]?.frontend, [
        'add.example',
        'http://a:1#weight=4',
        'http://b:1',
      ]);
    });

    test('adding by many at once loses nothing', async () => {
      const urls = Array.from({ length: 40 }, (_, i) => `http://h${i}:1`);
      await Promise.all(urls.map((url, i) => (i % 2 === 0 ? store : other).add('many.example', [url])));
      const [host] = await store.read(['many.example']);
      assert.deepEqual(new Set(host?.frontend.slice(1)), new Set(urls));
    });

    test('remove takes URLs out, and the record with the last of them', async () => {
      await store.set('remove.example', 'named', ['http://a:1#weight=2', 'http://b:1', 'http://a:1']);
      assert.deepEqual(await store.remove('remove.example', ['http://none:1']), []);
      assert.deepEqual(await store.remove('remove.example', ['http://a:1']), ['http://a:1#weight=2', 'http://a:1']);
      assert.deepEqual((await store.read(['remove.example']))[0]?.frontend, ['named', 'http://b:1']);
      assert.deepEqual(await store.remove('remove.example', ['http://b:1']), ['http://b:1']);
      assert.deepEqual(await store.read(['remove.example']), [null]);
      assert.equal(await store.remove('remove.example', []), null);
      await store.set('remove.example', null, ['http://a:1', 'http://b:1']);
      assert.deepEqual(await store.remove('remove.example', []), ['http://a:1', 'http://b:1']);
      assert.deepEqual(await store.read(['remove.example']), [null]);
    });

    test('list gives every pattern in code point order, page by page', async () => {
      const patterns = ['*', '*.list.example', 'list-a.example', 'list-b.example', 'list-ä.example', 'list-😀.example'];
      for (const pattern of patterns.toReversed()) await store.set(pattern, null, ['http://a:1']);
      const seen: string[] = [];
      for (let after = ''; ; after = seen.at(-1) ?? '') {
        const page = await other.list(after, 3);
        assert.ok(page.length <= 3);
        if (page.length === 0) break;
        seen.push(...page.map(({ pattern }) => pattern));
      }
      assert.deepEqual(
        seen.filter((pattern) => patterns.includes(pattern)),
        patterns,
      );
      assert.equal(new Set(seen).size, seen.length);
      for (const pattern of patterns) await store.remove(pattern, []);
    });

    test('any text comes back as it was written', async () => {
      const id = 'Zoë\'s "app" \\ \u0000 \u2028 😀 %00 {x}';
      await store.set('text-ü.example', id, ['http://ä:1', '']);
      assert.deepEqual((await other.read(['text-ü.example']))[0]?.frontend, [id, 'http://ä:1', '']);
      await store.set('__proto__', '__proto__', ['constructor']);
      assert.deepEqual((await other.read(['__proto__']))[0]?.frontend, ['__proto__', 'constructor']);
    });

    test('a record of a megabyte comes back whole', async () => {
      const urls = Array.from({ length: 20_000 }, (_, i) => `http://backend-${i}.internal.example.com:8080`);
      await store.set('large.example', null, urls);
      assert.deepEqual((await other.read(['large.example']))[0]?.frontend.slice(1), urls);
    });

    test('odd elements of a record are passed on as they are', async () => {
      const odd = location.oddElements
        ? ['id', 1, null, { a: [] }, 'http://a:1']
        : ['', ' ', 'htp:/x', '', 'http://a:1'];
      await location.writeRaw('odd.example', odd);
      assert.deepEqual((await store.read(['odd.example']))[0]?.frontend, odd);
      if (!location.oddElements) return;
      await location.writeRaw('empty.example', []);
      assert.deepEqual((await store.read(['empty.example']))[0]?.frontend, []);
    });

    test('a record that cannot be read says so, and harms no other', async () => {
      await store.set('whole.example', null, ['http://a:1']);
      for (const write of location.writeBroken) {
        await write('broken.example');
        const [broken, whole] = await store.read(['broken.example', 'whole.example']);
        assert.equal(typeof broken?.problem, 'string', String(write));
        assert.deepEqual(whole?.frontend, ['whole.example', 'http://a:1']);
        assert.deepEqual(await store.remove('broken.example', ['http://a:1']), []);
      }
      await store.add('broken.example', ['http://a:1']);
      assert.deepEqual((await store.read(['broken.example']))[0]?.frontend, ['broken.example', 'http://a:1']);
      await location.writeBroken[0]?.('broken.example');
      assert.ok((await store.list('', 1000)).some(({ pattern }) => pattern === 'broken.example'));
      await store.set('broken.example', null, ['http://b:1']);
      assert.deepEqual((await store.read(['broken.example']))[0]?.frontend, ['broken.example', 'http://b:1']);
    });

    test('marks are shared, by URL, each with its own end', async () => {
      await store.set('marks.example', null, ['http://a:1#weight=2', 'http://b:1']);
      const first = markFor(60_000, 'BACKEND_CONNECT_REFUSED');
      const second = markFor(90_000, 'status 502');
      await store.mark('marks.example', 'http://a:1', first);
      await other.mark('marks.example', 'http://b:1', second);
      const [host] = await other.read(['marks.example']);
      assert.deepEqual(
        host?.down,
        new Map([
          ['http://a:1', first],
          ['http://b:1', second],
        ]),
      );
      await other.unmark('marks.example', 'http://a:1');
      await other.unmark('marks.example', 'http://none:1');
      assert.deepEqual((await store.read(['marks.example']))[0]?.down, new Map([['http://b:1', second]]));
    });

    test('of two marks of a backend the one that ends later holds', async () => {
      await store.set('later.example', null, ['http://a:1', 'http://b:1']);
      const late = markFor(90_000, 'late');
      await store.mark('later.example', 'http://a:1', late);
      await other.mark('later.example', 'http://a:1', markFor(10_000, 'early'));
      assert.deepEqual((await store.read(['later.example']))[0]?.down, new Map([['http://a:1', late]]));
    });

    test('marks stay with the URLs that an edit keeps, and go with those that it removes', async () => {
      await store.set('edit.example', null, ['http://a:1', 'http://b:1', 'http://c:1']);
      const mark = markFor(60_000, 'x');
      for (const url of ['http://a:1', 'http://b:1', 'http://c:1']) await store.mark('edit.example', url, mark);
      await store.set('edit.example', null, ['http://n:1', 'http://b:1#weight=3', 'http://a:1']);
      await store.remove('edit.example', ['http://a:1']);
      assert.deepEqual((await store.read(['edit.example']))[0]?.down, new Map([['http://b:1', mark]]));
      await store.remove('edit.example', []);
      await store.set('edit.example', null, ['http://b:1']);
      assert.equal((await store.read(['edit.example']))[0]?.down.size, 0);
    });

    test('every change by anyone is told to who watches, after it can be read', async () => {
      const watcher = await location.open();
      const seen = new Watch();
      await watcher.watch(seen);
      const steps: [string, () => Promise<unknown>][] = [
        ['watch-a.example', () => store.set('watch-a.example', null, ['http://a:1', 'http://b:1'])],
        ['watch-a.example', () => other.add('watch-a.example', ['http://c:1'])],
        ['watch-a.example', () => store.mark('watch-a.example', 'http://a:1', markFor(60_000, 'x'))],
        ['watch-a.example', () => store.unmark('watch-a.example', 'http://a:1')],
        ['watch-b.example', () => watcher.set('watch-b.example', null, ['http://own:1'])],
        ['watch-a.example', () => other.remove('watch-a.example', ['http://c:1'])],
        ['watch-a.example', () => other.remove('watch-a.example', [])],
        ['watch-raw.example', () => location.writeRaw('watch-raw.example', ['by hand'])],
      ];
      for (const [pattern, step] of steps) {
        // A store tells of what it has been asked for.
        await watcher.read([pattern]);
        const told = location.tells === false ? seen.event('expired') : seen.next(pattern);
        await step();
        await told;
      }
      assert.equal(seen.losses, 0);
      await watcher.close();
    });

    test('a change that is told is in the next reading', async () => {
      const watcher = await location.open();
      const seen = new Watch();
      await watcher.watch(seen);
      await watcher.read(['coherent.example']);
      for (let i = 0; i < 20; i++) {
        const told = seen.next('coherent.example');
        const written = store.set('coherent.example', String(i), []);
        if (location.tells === false) await Promise.all([written, seen.event('expired')]);
        else await told;
        const [host] = await watcher.read(['coherent.example']);
        assert.equal(host?.frontend[0], String(i));
        await written;
      }
      await watcher.close();
    });

    test('certificates are shared, whole, by pattern, apart from routes', async () => {
      const [one, two] = [certificateOf('one'), certificateOf('two')];
      await store.setCertificate('tls.example', one);
      await store.setCertificate('*.tls.example', two);
      assert.deepEqual(await other.readCertificates(['*.tls.example', 'none.tls.example', 'tls.example']), [
        two,
        null,
        one,
      ]);
      assert.deepEqual(await other.readCertificates([]), []);
      await other.setCertificate('tls.example', two);
      assert.deepEqual(await store.readCertificates(['tls.example']), [two]);
      assert.deepEqual(await store.read(['tls.example']), [null]);
      assert.equal(await other.removeCertificate('tls.example'), true);
      assert.equal(await other.removeCertificate('tls.example'), false);
      assert.deepEqual(await store.readCertificates(['tls.example']), [null]);
    });

    test('the list of certificates gives every pattern in code point order, page by page', async () => {
      const patterns = ['*', '*.list.example', 'list-a.example', 'list-ä.example', 'list-😀.example'];
      for (const pattern of patterns.toReversed()) await store.setCertificate(pattern, certificateOf(pattern));
      const seen: string[] = [];
      for (;;) {
        const page = await other.listCertificates(seen.at(-1) ?? '', 2);
        assert.ok(page.length <= 2);
        if (page.length === 0) break;
        seen.push(...page);
      }
      assert.deepEqual(
        seen.filter((pattern) => patterns.includes(pattern)),
        patterns,
      );
      assert.equal(new Set(seen).size, seen.length);
      for (const pattern of patterns) await store.removeCertificate(pattern);
    });

    test('a certificate that cannot be read says so, and harms no other', async () => {
      await store.setCertificate('whole.example', certificateOf('whole'));
      for (const write of location.writeBrokenCertificate ?? []) {
        await write('broken-tls.example');
        const [broken, whole] = await store.readCertificates(['broken-tls.example', 'whole.example']);
        assert.deepEqual([broken?.certificate, broken?.key, typeof broken?.problem], ['', '', 'string']);
        assert.deepEqual(whole, certificateOf('whole'));
      }
      await store.setCertificate('broken-tls.example', certificateOf('mended'));
      assert.deepEqual(await store.readCertificates(['broken-tls.example']), [certificateOf('mended')]);
    });

    test('a change of a certificate is told as one, after it can be read', async () => {
      const watcher = await location.open();
      const seen = new Watch();
      await watcher.watch(seen);
      for (const step of [
        () => store.setCertificate('told.example', certificateOf('1')),
        () => other.setCertificate('told.example', certificateOf('2')),
        () => store.removeCertificate('told.example'),
      ]) {
        await watcher.readCertificates(['told.example']);
        const told = location.tells === false ? seen.event('expired') : seen.nextCertificate('told.example');
        await step();
        await told;
      }
      assert.equal(seen.routes.includes('told.example'), false);
      await watcher.close();
    });

    test('a closed store refuses everything, and may be closed again', async () => {
      const closed = await location.open();
      await closed.watch(new Watch());
      const late = closed.read(['late.example']).catch((error: unknown) => error);
      const lateWrite = closed.set('late.example', null, []).catch((error: unknown) => error);
      await closed.close();
      await closed.close();
      await Promise.all([late, lateWrite]);
      for (const attempt of [
        () => closed.read(['a']),
        () => closed.set('a', null, []),
        () => closed.list('', 1),
        () => closed.readCertificates(['a']),
        () => closed.removeCertificate('a'),
      ]) {
        await assert.rejects(attempt, { code: 'STORE_UNAVAILABLE', source: 'store' });
      }
    });
  });
}

type EventName = 'lost' | 'restored' | 'expired';

interface Waiting {
  test(pattern: string): boolean;
  resolve(): void;
}

/** A listener that can be waited for. */
export class Watch implements ChangeListener {
  losses = 0;
  restorations = 0;
  expirations = 0;
  /** Every pattern of a route that was told. */
  readonly routes: string[] = [];
  readonly #waiting: Waiting[] = [];
  readonly #waitingCertificates: Waiting[] = [];
  readonly #events: { name: EventName; resolve: () => void }[] = [];

  /** Resolves with the first telling of this pattern from now on. */
  next(pattern: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ test: (told) => told === pattern, resolve });
    return promise;
  }

  /** The same of certificates. */
  nextCertificate(pattern: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waitingCertificates.push({ test: (told) => told === pattern, resolve });
    return promise;
  }

  /** Resolves when this happens for the first time from now on. */
  event(name: EventName): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#events.push({ name, resolve });
    return promise;
  }

  changed(patterns: readonly string[]): void {
    this.routes.push(...patterns);
    tell(this.#waiting, patterns);
  }

  certificatesChanged(patterns: readonly string[]): void {
    tell(this.#waitingCertificates, patterns);
  }

  expired(): void {
    this.expirations++;
    this.#tell('expired');
  }

  lost(_error?: Error): void {
    this.losses++;
    this.#tell('lost');
  }

  restored(): void {
    this.restorations++;
    this.#tell('restored');
  }

  #tell(name: EventName): void {
    for (const event of this.#events.splice(0)) {
      if (event.name === name) event.resolve();
      else this.#events.push(event);
    }
  }
}

function tell(queue: Waiting[], patterns: readonly string[]): void {
  for (const waiting of queue.splice(0)) {
    if (patterns.some(waiting.test)) waiting.resolve();
    else queue.push(waiting);
  }
}

/** Not a certificate, which no store looks at, but a text of the same shape. */
function certificateOf(name: string): { certificate: string; key: string } {
  const pem = (kind: string) => `-----BEGIN ${kind}-----\n${name}\n-----END ${kind}-----\n`;
  return { certificate: pem('CERTIFICATE') + pem('CERTIFICATE'), key: pem('PRIVATE KEY') };
}

function markFor(ttlMs: number, reason: string): DownMark {
  const nowMs = Date.now();
  return { untilMs: nowMs + ttlMs, sinceMs: nowMs, reason, instance: 'suite' };
}
