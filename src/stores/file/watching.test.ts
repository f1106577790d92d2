import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { until } from '../../../test/helpers/until.ts';
import type { Store } from '../contract.ts';
import { Watch } from '../watch.suite.ts';
import { FilePlaces } from './file.suite.ts';

const two = 'routes:\n  a.example: [http://a:1]\n  b.example: [http://b:1]\n';

describe('a routes file that is watched', () => {
  let place: FilePlaces;
  let store: Store;
  let seen: Watch;

  beforeEach(async () => {
    place = new FilePlaces('routes.yaml', two);
    store = await place.open({ serving: true });
    seen = new Watch();
    await store.watch(seen);
  });

  afterEach(async () => {
    // Whatever happened to the file, there was always something to serve.
    assert.equal(seen.losses, 0);
    await place.remove();
  });

  const backendOf = async (pattern: string) => (await store.routes.read([pattern]))[0]?.frontend[1];
  const countOf = (text: RegExp) => place.warnings.filter((line) => text.test(line)).length;

  /** Waits until the route is reported and read with this backend. @returns the patterns that were reported. */
  async function changeTo(pattern: string, backend: string | undefined, change: () => void): Promise<string[]> {
    seen.routes.length = 0;
    change();
    await until(`${pattern} with ${backend}`, async () => (await backendOf(pattern)) === backend);
    await until('the report', () => seen.routes.includes(pattern));
    return seen.routes.slice();
  }

  test('an edit in place is live, and only its hosts are reported', async () => {
    const edited = two.replace('http://b:1', 'http://b:2');
    assert.deepEqual(await changeTo('b.example', 'http://b:2', () => place.write(edited)), ['b.example']);
    const more = `# A comment.\n${edited}  c.example: [http://c:1]\n`;
    assert.deepEqual(await changeTo('c.example', 'http://c:1', () => place.write(more)), ['c.example']);
    const reports = seen.routes.length;
    place.write(`# Another comment.\n${more}`);
    await changeTo('d.example', 'http://d:1', () => place.write(`${more}  d.example: [http://d:1]\n`));
    assert.equal(seen.routes.length, reports);
    assert.deepEqual(await changeTo('d.example', undefined, () => place.write(more)), ['d.example']);
  });

  test('a file renamed over it is live', async () => {
    const other = join(place.directory, 'other.yaml');
    writeFileSync(other, two.replace(/ {2}a.*\n/, ''));
    assert.deepEqual(await changeTo('a.example', undefined, () => renameSync(other, place.path)), ['a.example']);
  });

  test('a link that is switched is live, as a ConfigMap of Kubernetes does it', async () => {
    const at = (name: string) => join(place.directory, name);
    for (const [name, text] of [
      ['..one', two],
      ['..two', two.replace('http://a:1', 'http://a:2')],
    ] as const) {
      mkdirSync(at(name));
      writeFileSync(join(at(name), 'routes.yaml'), text);
    }
    symlinkSync('..one', at('..data'));
    rmSync(place.path);
    symlinkSync('..data/routes.yaml', place.path);
    await until('the link', async () => (await backendOf('a.example')) === 'http://a:1');
    const change = () => {
      symlinkSync('..two', at('..data_tmp'));
      renameSync(at('..data_tmp'), at('..data'));
    };
    assert.deepEqual(await changeTo('a.example', 'http://a:2', change), ['a.example']);
  });

  test('a file that vanishes keeps its routes, and is followed when it is back', async () => {
    const away = join(place.directory, 'away.yaml');
    renameSync(place.path, away);
    await until('the warning', () => countOf(/last good content is served: .* does not exist/) === 1);
    assert.equal(await backendOf('a.example'), 'http://a:1');
    renameSync(away, place.path);
    await until('the message', () => countOf(/can be used again/) === 1);
    rmSync(place.path);
    await changeTo('a.example', 'http://a:3', () => place.write(two.replace('http://a:1', 'http://a:3')));
    assert.equal(countOf(/last good content is served/), 1, 'the gap was short');
  });

  test('a bad edit keeps the last good content, and is reported once with its position', async () => {
    place.write(two.replace('[http://a:1]', '[http://a:2'));
    await until('the warning', () => countOf(/last good content is served: .*: line 3, column 3: /) === 1);
    assert.equal(await backendOf('a.example'), 'http://a:1');
    place.write('');
    await until('the next warning', () => countOf(/line 1, column 1: the file is empty/) === 1);
    assert.equal(await backendOf('a.example'), 'http://a:1');
    assert.equal(countOf(/last good content is served/), 2);
    assert.deepEqual(await changeTo('b.example', 'http://b:4', () => place.write(two.replace('b:1', 'b:4'))), [
      'b.example',
    ]);
    assert.equal(countOf(/can be used again/), 1);
    place.write(two.replace('[http://a:1]', '[htp]').replace('b:1', 'b:5'));
    await until('the good part', async () => (await backendOf('b.example')) === 'http://b:5');
    assert.equal(countOf(/routes\.yaml: line 2, column 15: backend "htp"/), 1);
  });

  test('a file that is written in steps is never served in part', async () => {
    const lines = Array.from({ length: 50 }, (_, i) => `  host-${i}.example: [http://h${i}:1]\n`);
    const start = `${two}${lines.slice(0, 25).join('')}`;
    await changeTo('host-24.example', 'http://h24:1', () => place.write(start));
    seen.routes.length = 0;
    truncateSync(place.path);
    // Each step would do for a file: the first one has no routes, the others have fewer.
    const steps = ['routes:\n', ...[two.slice('routes:\n'.length), ...lines]];
    for (const step of steps) {
      appendFileSync(place.path, step);
      await store.routes.read(['a.example']);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await until('the whole file', async () => (await backendOf('host-49.example')) === 'http://h49:1');
    assert.deepEqual(
      seen.routes.toSorted(),
      lines
        .slice(25)
        .map((line) => line.trim().split(':')[0])
        .toSorted(),
    );
    assert.equal(countOf(/last good/), 0);
  });

  test('a file that is written in two steps with a pause is served as a whole', async () => {
    seen.routes.length = 0;
    place.write('routes:\n  a.example: [http://a:1]\n');
    await new Promise((resolve) => setTimeout(resolve, 200));
    appendFileSync(place.path, '  b.example: [http://b:9]\n');
    await until('the whole file', async () => (await backendOf('b.example')) === 'http://b:9');
    assert.deepEqual(seen.routes, ['b.example']);
  });

  test('a last line without its end is not served at once', async () => {
    seen.routes.length = 0;
    place.write(`${two}  c.example: [http://c:1]\n  d.example:\n    - http://d:80`);
    await new Promise((resolve) => setTimeout(resolve, 200));
    appendFileSync(place.path, '80\n');
    await until('the whole line', async () => (await backendOf('d.example')) === 'http://d:8080');
    assert.deepEqual(seen.routes, ['c.example', 'd.example']);
    const told = seen.next('routes', 'd.example');
    place.write(`${two}  d.example: [http://d:1]`);
    await told;
    assert.equal(await backendOf('d.example'), 'http://d:1');
  });

  test('options are reported by themselves, and come with the route', async () => {
    seen.routes.length = 0;
    const told = seen.next('options', 'a.example');
    place.write(`${two}options:\n  a.example: { requestsMax: 5 }\n`);
    await told;
    const [route] = await store.routes.read(['a.example']);
    assert.deepEqual(
      [route?.frontend[1], Object.fromEntries(route?.options ?? [])],
      ['http://a:1', { requestsMax: '5' }],
    );
    const gone = seen.next('options', 'a.example');
    place.write(two);
    await gone;
    assert.equal((await store.routes.read(['a.example']))[0]?.options, undefined);
    assert.deepEqual(seen.routes, []);
  });

  test('a certificate changes with its files', async () => {
    const pair = (text: string) => ({ certificate: `cert ${text}`, key: `key ${text}` });
    const told = seen.next('certificates', 'tls.example');
    place.putCertificate('tls.example', pair('1'));
    await told;
    assert.deepEqual(await store.certificates.read(['tls.example']), [pair('1')]);
    const again = seen.next('certificates', 'tls.example');
    writeFileSync(join(place.directory, 'certs', 'tls.example.pem'), 'cert 2');
    writeFileSync(join(place.directory, 'certs', 'tls.example.key'), 'key 2');
    await again;
    assert.deepEqual(await store.certificates.read(['tls.example']), [pair('2')]);
    rmSync(join(place.directory, 'certs', 'tls.example.key'));
    await seen.next('certificates', 'tls.example');
    assert.match((await store.certificates.read(['tls.example']))[0]?.problem ?? '', /tls\.example\.key .*not exist/);
  });
});

test('a proxy opens whatever is at the path, and serves once it is good; a command fails with the reason', async () => {
  const place = new FilePlaces();
  const store = await place.open({ serving: true });
  const seen = new Watch();
  await store.watch(seen);
  assert.equal(seen.losses, 1);
  await assert.rejects(store.routes.read(['a.example']), { code: 'STORE_UNAVAILABLE', message: /does not exist/ });
  await assert.rejects(place.open({ create: false }), { code: 'STORE_UNAVAILABLE', message: /does not exist/ });
  place.write('routes:\n  a.example: [http://a:1]\n  a.example: []\nrouts: {}\n');
  const bad = {
    code: 'STORE_DAMAGED',
    message: /line 3, column 3: .* twice, first in line 2; line 4, column 1: unknown/,
  };
  await assert.rejects(place.open(), bad);
  await until('the problem', async () => (await store.routes.read(['a']).catch((error) => error.code)) === bad.code);
  await assert.rejects(store.routes.set('b.example', null, []), bad);
  assert.equal(seen.restorations, 0);
  const restored = seen.event('restored');
  place.write(two);
  await restored;
  assert.deepEqual((await store.routes.read(['a.example']))[0]?.frontend, ['a.example', 'http://a:1']);
  await place.remove();
});
