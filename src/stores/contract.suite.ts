import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { DownMark } from '../routing/backend.ts';
import { describeChanges } from './changes.suite.ts';
import type { CertificatePair, Store, StoreCapabilities } from './contract.ts';
import { failuresKeptMs } from './failures.ts';
import { describeNotes } from './notes.suite.ts';
import { describeOptions } from './options.suite.ts';
import { Watch } from './watch.suite.ts';

/** The place where one run of the suite keeps its data. Each store that it opens stands for another process. */
export interface StoreLocation {
  open(): Promise<Store>;
  /** Writes a record without the driver, as an operator or another program may do. */
  writeRaw(pattern: string, record: readonly unknown[]): Promise<void>;
  /** Whether elements of a record may be other than strings, and whether a record may be empty. */
  readonly oddElements: boolean;
  /** How the store finds changes, once it is watched. */
  readonly changes: StoreCapabilities['changes'];
  /** Whether the store can list its records. Default true. */
  readonly lists?: boolean;
  /** Whether the store finds notes that are due. Default true. */
  readonly findsDue?: boolean;
  /** Ways to write something that is not a record. */
  readonly writeBroken: readonly ((pattern: string) => Promise<void>)[];
  /** The same for certificates; none if the store cannot hold such a thing. */
  readonly writeBrokenCertificate?: readonly ((pattern: string) => Promise<void>)[];
  /** Writes a certificate, if the store itself cannot. */
  readonly writeCertificate?: (pattern: string, pair: CertificatePair) => Promise<void>;
  /** Writes an option without the driver, as an operator or another program may do. */
  writeRawOption(pattern: string, name: string, value: string): Promise<void>;
  /** Ways to write something in the place of options that is none; none if the store cannot hold such a thing. */
  readonly writeBrokenOptions: readonly ((pattern: string) => Promise<void>)[];
  /** Removes everything. */
  dispose(): Promise<void>;
}

/** The behaviour of every driver. @param name of the driver. @param make a location for one run. */
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

    const writeCertificate = (by: Store, pattern: string, pair: CertificatePair): Promise<void> =>
      location.writeCertificate?.(pattern, pair) ?? by.certificates.write(pattern, pair);

    test('a pattern without a record is null', async () => {
      assert.deepEqual(await store.routes.read(['absent.example']), [null]);
      assert.deepEqual(await store.routes.read([]), []);
    });

    test('records come in the order in which they are asked for', async () => {
      await store.routes.set('order-a.example', null, ['http://a:1']);
      await store.routes.set('order-b.example', null, ['http://b:1']);
      const hosts = await store.routes.read([
        'order-b.example',
        'order-none.example',
        'order-a.example',
        'order-b.example',
      ]);
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
      await store.routes.set('shared.example', 'one', ['http://a:1', 'http://b:1#weight=2']);
      assert.deepEqual((await other.routes.read(['shared.example']))[0]?.frontend, [
        'one',
        'http://a:1',
        'http://b:1#weight=2',
      ]);
      await other.routes.set('shared.example', 'two', []);
      assert.deepEqual((await store.routes.read(['shared.example']))[0]?.frontend, ['two']);
    });

    test('set without an identifier keeps the one of the record, or takes the pattern', async () => {
      await store.routes.set('id.example', null, ['http://a:1']);
      assert.deepEqual((await store.routes.read(['id.example']))[0]?.frontend, ['id.example', 'http://a:1']);
      await store.routes.set('id.example', 'named', ['http://a:1']);
      await store.routes.set('id.example', null, ['http://b:1']);
      assert.deepEqual((await store.routes.read(['id.example']))[0]?.frontend, ['named', 'http://b:1']);
    });

    test('add appends what is missing, once, and creates the record if necessary', async () => {
      await store.routes.add('add.example', ['http://a:1']);
      await store.routes.add('add.example', ['http://a:1', 'http://b:1', 'http://b:1']);
      assert.deepEqual((await store.routes.read(['add.example']))[0]?.frontend, [
        'add.example',
        'http://a:1',
        'http://b:1',
      ]);
      await store.routes.add('add.example', ['http://a:1#weight=4']);
      assert.deepEqual((await store.routes.read(['add.example']))[0]?.frontend, [
        'add.example',
        'http://a:1#weight=4',
        'http://b:1',
      ]);
    });

    test('adding by many at once loses nothing', async () => {
      const urls = Array.from({ length: 40 }, (_, i) => `http://h${i}:1`);
      await Promise.all(urls.map((url, i) => (i % 2 === 0 ? store : other).routes.add('many.example', [url])));
      const [host] = await store.routes.read(['many.example']);
      assert.deepEqual(new Set(host?.frontend.slice(1)), new Set(urls));
    });

    test('remove takes URLs out, and the record with the last of them', async () => {
      await store.routes.set('remove.example', 'named', ['http://a:1#weight=2', 'http://b:1', 'http://a:1']);
      assert.deepEqual(await store.routes.remove('remove.example', ['http://none:1']), []);
      assert.deepEqual(await store.routes.remove('remove.example', ['http://a:1']), [
        'http://a:1#weight=2',
        'http://a:1',
      ]);
      assert.deepEqual((await store.routes.read(['remove.example']))[0]?.frontend, ['named', 'http://b:1']);
      assert.deepEqual(await store.routes.remove('remove.example', ['http://b:1']), ['http://b:1']);
      assert.deepEqual(await store.routes.read(['remove.example']), [null]);
      assert.equal(await store.routes.remove('remove.example', []), null);
      await store.routes.set('remove.example', null, ['http://a:1', 'http://b:1']);
      assert.deepEqual(await store.routes.remove('remove.example', []), ['http://a:1', 'http://b:1']);
      assert.deepEqual(await store.routes.read(['remove.example']), [null]);
    });

    describeChanges(
      () => [store, other],
      () => location.open(),
    );

    describeNotes(
      () => [store, other],
      () => location,
    );

    describeOptions(
      () => [store, other],
      () => location,
    );

    test('list gives every pattern in code point order, page by page', async () => {
      if (location.lists === false) {
        await assert.rejects(store.routes.list('', 1), { code: 'STORE_UNSUPPORTED', message: /cannot list/ });
        return;
      }
      const patterns = ['*', '*.list.example', 'list-a.example', 'list-a.example/api', 'list-b.example'];
      patterns.push('list-ä.example', 'list-😀.example');
      for (const pattern of patterns.toReversed()) await store.routes.set(pattern, null, ['http://a:1']);
      const seen: string[] = [];
      for (let after = ''; ; after = seen.at(-1) ?? '') {
        const page = await other.routes.list(after, 3);
        assert.ok(page.length <= 3);
        if (page.length === 0) break;
        seen.push(...page.map(({ pattern }) => pattern));
      }
      assert.deepEqual(
        seen.filter((pattern) => patterns.includes(pattern)),
        patterns,
      );
      assert.equal(new Set(seen).size, seen.length);
      for (const pattern of patterns) await store.routes.remove(pattern, []);
    });

    test('any text comes back as it was written', async () => {
      const id = 'Zoë\'s "app" \\ \u0000 \u2028 😀 %00 {x}';
      await store.routes.set('text-ü.example', id, ['http://ä:1', '']);
      assert.deepEqual((await other.routes.read(['text-ü.example']))[0]?.frontend, [id, 'http://ä:1', '']);
      await store.routes.set('__proto__', '__proto__', ['constructor']);
      assert.deepEqual((await other.routes.read(['__proto__']))[0]?.frontend, ['__proto__', 'constructor']);
    });

    test('a record of a megabyte comes back whole', async () => {
      const urls = Array.from(
        { length: 10_000 },
        (_, i) => `http://backend-${i}.${'x'.repeat(60)}.internal.example.com:8080`,
      );
      await store.routes.set('large.example', null, urls);
      assert.deepEqual((await other.routes.read(['large.example']))[0]?.frontend.slice(1), urls);
      assert.deepEqual(await store.routes.remove('large.example', []), urls);
    });

    test('odd elements of a record are passed on as they are', async () => {
      const odd = location.oddElements
        ? ['id', 1, null, { a: [] }, 'http://a:1']
        : ['', ' ', 'htp:/x', '', 'http://a:1'];
      await location.writeRaw('odd.example', odd);
      assert.deepEqual((await store.routes.read(['odd.example']))[0]?.frontend, odd);
      if (!location.oddElements) return;
      await location.writeRaw('empty.example', []);
      assert.deepEqual((await store.routes.read(['empty.example']))[0]?.frontend, []);
    });

    test('a record that cannot be read says so, and harms no other', async () => {
      await store.routes.set('whole.example', null, ['http://a:1']);
      for (const write of location.writeBroken) {
        await write('broken.example');
        const [broken, whole] = await store.routes.read(['broken.example', 'whole.example']);
        assert.equal(typeof broken?.problem, 'string', String(write));
        assert.deepEqual(whole?.frontend, ['whole.example', 'http://a:1']);
        assert.deepEqual(await store.routes.remove('broken.example', ['http://a:1']), []);
      }
      await store.routes.add('broken.example', ['http://a:1']);
      assert.deepEqual((await store.routes.read(['broken.example']))[0]?.frontend, ['broken.example', 'http://a:1']);
      await location.writeBroken[0]?.('broken.example');
      if (location.lists !== false) {
        assert.ok((await store.routes.list('', 1000)).some(({ pattern }) => pattern === 'broken.example'));
      }
      await store.routes.set('broken.example', null, ['http://b:1']);
      assert.deepEqual((await store.routes.read(['broken.example']))[0]?.frontend, ['broken.example', 'http://b:1']);
    });

    test('marks are shared, by URL, each with its own end', async () => {
      await store.routes.set('marks.example', null, ['http://a:1#weight=2', 'http://b:1']);
      const first = markFor(60_000, 'BACKEND_CONNECT_REFUSED');
      const second = markFor(90_000, 'status 502');
      await store.marks.write('marks.example', 'http://a:1', first);
      await other.marks.write('marks.example', 'http://b:1', second);
      const [host] = await other.routes.read(['marks.example']);
      assert.deepEqual(
        host?.down,
        new Map([
          ['http://a:1', first],
          ['http://b:1', second],
        ]),
      );
      await other.marks.remove('marks.example', 'http://a:1');
      await other.marks.remove('marks.example', 'http://none:1');
      assert.deepEqual((await store.routes.read(['marks.example']))[0]?.down, new Map([['http://b:1', second]]));
    });

    test('of two marks of a backend the one that ends later holds', async () => {
      await store.routes.set('later.example', null, ['http://a:1', 'http://b:1']);
      const late = markFor(90_000, 'late');
      await store.marks.write('later.example', 'http://a:1', late);
      await other.marks.write('later.example', 'http://a:1', markFor(10_000, 'early'));
      assert.deepEqual((await store.routes.read(['later.example']))[0]?.down, new Map([['http://a:1', late]]));
    });

    test('marks stay with the URLs that an edit keeps, and go with those that it removes', async () => {
      await store.routes.set('edit.example', null, ['http://a:1', 'http://b:1', 'http://c:1']);
      const mark = markFor(60_000, 'x');
      for (const url of ['http://a:1', 'http://b:1', 'http://c:1']) await store.marks.write('edit.example', url, mark);
      await store.routes.set('edit.example', null, ['http://n:1', 'http://b:1#weight=3', 'http://a:1']);
      await store.routes.remove('edit.example', ['http://a:1']);
      assert.deepEqual((await store.routes.read(['edit.example']))[0]?.down, new Map([['http://b:1', mark]]));
      await store.routes.remove('edit.example', []);
      await store.routes.set('edit.example', null, ['http://b:1']);
      assert.equal((await store.routes.read(['edit.example']))[0]?.down.size, 0);
    });

    test('failures of backends are added up, by URL, and raise no revision', async () => {
      await store.routes.set('failed.example', null, ['http://a:1', 'http://b:1']);
      assert.equal((await store.failures.read('failed.example')).size, 0);
      const nowMs = Date.now();
      const one = { count: 1, firstMs: nowMs - 5000, lastMs: nowMs - 5000, reason: 'BACKEND_RESET', instance: 'one' };
      const three = { count: 3, firstMs: nowMs - 900, lastMs: nowMs - 100, reason: 'status 500', instance: 'two' };
      const revision = await store.instances?.revision();
      await store.failures.add('failed.example', new Map([['http://a:1', one]]));
      await Promise.all([
        other.failures.add('failed.example', new Map([['http://a:1', three]])),
        store.failures.add('failed.example', new Map([['http://b:1', one]])),
      ]);
      assert.deepEqual(
        await store.failures.read('failed.example'),
        new Map([
          ['http://a:1', { ...three, count: 4, firstMs: one.firstMs }],
          ['http://b:1', one],
        ]),
      );
      assert.equal(await store.instances?.revision(), revision);
      assert.equal((await store.failures.read('absent.example')).size, 0);
    });

    test('a series of failures that has ended is forgotten, and begins anew', async () => {
      await store.routes.set('quiet.example', null, ['http://a:1', 'http://b:1']);
      const nowMs = Date.now();
      const old = { count: 9, firstMs: 1000, lastMs: nowMs - failuresKeptMs - 1000, reason: 'old', instance: 'one' };
      const fresh = { count: 1, firstMs: nowMs, lastMs: nowMs, reason: 'fresh', instance: 'one' };
      await store.failures.add(
        'quiet.example',
        new Map([
          ['http://a:1', old],
          ['http://b:1', old],
        ]),
      );
      assert.equal((await store.failures.read('quiet.example')).size, 0);
      await other.failures.add('quiet.example', new Map([['http://a:1', fresh]]));
      assert.deepEqual(await store.failures.read('quiet.example'), new Map([['http://a:1', fresh]]));
    });

    test('every change by any process is reported to a watcher, after it can be read', async () => {
      const watcher = await location.open();
      const seen = new Watch();
      await watcher.watch(seen);
      assert.equal(watcher.capabilities.changes, location.changes);
      const steps: [string, () => Promise<unknown>][] = [
        ['watch-a.example', () => store.routes.set('watch-a.example', null, ['http://a:1', 'http://b:1'])],
        ['watch-a.example', () => other.routes.add('watch-a.example', ['http://c:1'])],
        ['watch-a.example', () => store.marks.write('watch-a.example', 'http://a:1', markFor(60_000, 'x'))],
        ['watch-a.example', () => store.marks.remove('watch-a.example', 'http://a:1')],
        ['watch-b.example', () => watcher.routes.set('watch-b.example', null, ['http://own:1'])],
        ['watch-a.example', () => other.routes.remove('watch-a.example', ['http://c:1'])],
        ['watch-a.example', () => other.routes.remove('watch-a.example', [])],
        ['watch-raw.example', () => location.writeRaw('watch-raw.example', ['by hand'])],
        ['watch-a.example/b/c', () => other.routes.set('watch-a.example/b/c', null, ['http://a:1'])],
      ];
      for (const [pattern, step] of steps) {
        // A store only has to report changes of what was read.
        await watcher.routes.read([pattern]);
        const told = location.changes === 'expiry' ? seen.event('expired') : seen.next('routes', pattern);
        await step();
        await told;
      }
      assert.equal(seen.losses, 0);
      await watcher.close();
    });

    test('a reported change is in the next reading', async () => {
      const watcher = await location.open();
      const seen = new Watch();
      await watcher.watch(seen);
      await watcher.routes.read(['coherent.example']);
      for (let i = 0; i < 20; i++) {
        const told = seen.next('routes', 'coherent.example');
        const written = store.routes.set('coherent.example', String(i), []);
        if (location.changes === 'expiry') await Promise.all([written, seen.event('expired')]);
        else await told;
        const [host] = await watcher.routes.read(['coherent.example']);
        assert.equal(host?.frontend[0], String(i));
        await written;
      }
      await watcher.close();
    });

    test('certificates are shared, whole, by pattern, apart from routes', async () => {
      const [one, two] = [certificateOf('one'), certificateOf('two')];
      await writeCertificate(store, 'tls.example', one);
      await writeCertificate(store, '*.tls.example', two);
      assert.deepEqual(await other.certificates.read(['*.tls.example', 'none.tls.example', 'tls.example']), [
        two,
        null,
        one,
      ]);
      assert.deepEqual(await other.certificates.read([]), []);
      await writeCertificate(other, 'tls.example', two);
      assert.deepEqual(await store.certificates.read(['tls.example']), [two]);
      assert.deepEqual(await store.routes.read(['tls.example']), [null]);
      assert.equal(await other.certificates.remove('tls.example'), true);
      assert.equal(await other.certificates.remove('tls.example'), false);
      assert.deepEqual(await store.certificates.read(['tls.example']), [null]);
    });

    test('the list of certificates gives every pattern in code point order, page by page', async () => {
      if (location.lists === false) {
        await assert.rejects(store.certificates.list('', 1), { code: 'STORE_UNSUPPORTED', message: /cannot list/ });
        return;
      }
      const patterns = ['*', '*.list.example', 'list-a.example', 'list-ä.example', 'list-😀.example'];
      for (const pattern of patterns.toReversed()) await writeCertificate(store, pattern, certificateOf(pattern));
      const seen: string[] = [];
      for (;;) {
        const page = await other.certificates.list(seen.at(-1) ?? '', 2);
        assert.ok(page.length <= 2);
        if (page.length === 0) break;
        seen.push(...page);
      }
      assert.deepEqual(
        seen.filter((pattern) => patterns.includes(pattern)),
        patterns,
      );
      assert.equal(new Set(seen).size, seen.length);
      for (const pattern of patterns) await store.certificates.remove(pattern);
    });

    test('a certificate that cannot be read says so, and harms no other', async () => {
      await writeCertificate(store, 'whole.example', certificateOf('whole'));
      for (const write of location.writeBrokenCertificate ?? []) {
        await write('broken-tls.example');
        const [broken, whole] = await store.certificates.read(['broken-tls.example', 'whole.example']);
        assert.deepEqual([broken?.certificate, broken?.key, typeof broken?.problem], ['', '', 'string']);
        assert.deepEqual(whole, certificateOf('whole'));
      }
      await writeCertificate(store, 'broken-tls.example', certificateOf('mended'));
      assert.deepEqual(await store.certificates.read(['broken-tls.example']), [certificateOf('mended')]);
    });

    test('a change of a certificate is reported as one, after it can be read', async () => {
      const watcher = await location.open();
      const seen = new Watch();
      await watcher.watch(seen);
      for (const step of [
        () => writeCertificate(store, 'told.example', certificateOf('1')),
        () => writeCertificate(other, 'told.example', certificateOf('2')),
        () => store.certificates.remove('told.example'),
      ]) {
        await watcher.certificates.read(['told.example']);
        const told = location.changes === 'expiry' ? seen.event('expired') : seen.next('certificates', 'told.example');
        await step();
        await told;
      }
      assert.equal(seen.routes.includes('told.example'), false);
      await watcher.close();
    });

    test('instances that share the store know each other', async () => {
      if (store.instances === null || other.instances === null) return;
      await store.instances.write('one:1', { revision: '7', host: 'ä' }, 30_000);
      await store.instances.write('one:1', { revision: '8', host: 'ä' }, 30_000);
      await other.instances.write('two', { revision: '9' }, 30_000);
      const found = async () =>
        (await store.instances?.list())?.toSorted((a, b) => a.instance.localeCompare(b.instance)) ?? [];
      assert.deepEqual(await found(), [
        { instance: 'one:1', fields: { revision: '8', host: 'ä' } },
        { instance: 'two', fields: { revision: '9' } },
      ]);
      await other.instances.remove('two');
      await other.instances.remove('two');
      await store.instances.remove('one:1');
      assert.deepEqual(await found(), []);
      const before = await store.instances.revision();
      await other.routes.set('revision.example', null, ['http://a:1']);
      assert.ok((await store.instances.revision()) > before);
    });

    test('what an operator accepts can be read by every process, and is replaced by the next', async () => {
      assert.equal(await other.acceptance.read(), null);
      await store.acceptance.write('first');
      assert.equal(await other.acceptance.read(), 'first');
      await other.acceptance.write('second');
      assert.equal(await store.acceptance.read(), 'second');
    });

    // Near the end, since a file with so many records is slow to edit.
    test('put makes and replaces many records as they are', async () => {
      const records = Array.from({ length: 1200 }, (_, i) => ({
        pattern: `put-${i}.example`,
        frontend: ['id', `http://a:${i + 1}`, `http://a:${i + 1}`],
      }));
      await store.routes.set('put-7.example', 'old', ['http://old:1']);
      await store.routes.put(records);
      await store.routes.put([]);
      const read = await other.routes.read(['put-0.example', 'put-7.example', 'put-1199.example']);
      assert.deepEqual(
        read.map((record) => record?.frontend),
        [records[0], records[7], records[1199]].map((record) => record?.frontend),
      );
    });

    test('a closed store refuses everything, and may be closed again', async () => {
      const closed = await location.open();
      await closed.watch(new Watch());
      const late = closed.routes.read(['late.example']).catch((error: unknown) => error);
      const lateWrite = closed.routes.set('late.example', null, []).catch((error: unknown) => error);
      await closed.close();
      await closed.close();
      await Promise.all([late, lateWrite]);
      for (const attempt of [
        () => closed.routes.read(['a']),
        () => closed.routes.set('a', null, []),
        () => closed.routes.read(['a', 'b']),
        () => closed.failures.read('a'),
        () => closed.certificates.read(['a']),
        () => closed.certificates.remove('a'),
      ]) {
        await assert.rejects(attempt, { code: 'STORE_UNAVAILABLE', source: 'store' });
      }
    });
  });
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
