import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { describeStore } from '../../src/stores/contract.suite.ts';
import type { StoreDriver } from '../../src/stores/driver.ts';
import { type DriverKit, driverKit } from '../../src/stores/packaged-driver.ts';
import { HipacheHome, runHipache } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { ask } from '../helpers/http-client.ts';
import { until } from '../helpers/until.ts';

const example = join(import.meta.dirname, '..', '..', 'examples', 'store-directory');
const { default: makeDriver } = (await import(join(example, 'index.js'))) as {
  readonly default: (kit: DriverKit) => StoreDriver;
};

describeStore('the example of a driver in a package of its own', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'hipache-directory-'));
  const driver = makeDriver(driverKit);
  const write = (key: string, text: string) => writeFileSync(join(directory, encodeURIComponent(key)), text);
  return {
    open: () => driver.open([`directory:${directory}`], { create: true }),
    writeRaw: async (pattern, record) => write(`frontend:${pattern}`, JSON.stringify(record)),
    oddElements: true,
    changes: 'push',
    writeBroken: ['{', '7', '{"a":1}'].map((text) => async (pattern: string) => write(`frontend:${pattern}`, text)),
    writeBrokenCertificate: ['{', '[]'].map((text) => async (pattern: string) => write(`tls:${pattern}`, text)),
    writeRawOption: async (pattern, name, value) => write(`options:${pattern}`, JSON.stringify({ [name]: value })),
    writeBrokenOptions: ['{', '[]', '{"balance": {}}'].map(
      (text) => async (pattern: string) => write(`options:${pattern}`, text),
    ),
    dispose: async () => rmSync(directory, { recursive: true, force: true }),
  };
});

/** A directory of packages. */
function packages(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'hipache-packages-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

describe('a driver in a package of its own', () => {
  test('is found by the scheme of the URL, by commands and by proxies', async (t) => {
    const path = packages(t);
    cpSync(example, join(path, 'hipache-store-directory'), { recursive: true });
    const backends = await Promise.all(['one', 'two'].map((name) => HttpBackend.start(name)));
    const home = new HipacheHome();
    t.after(async () => {
      await home.remove();
      for (const backend of backends) await backend.stop();
    });
    const [one, two] = backends as [HttpBackend, HttpBackend];
    const routes = join(home.path('state'), 'routes');
    mkdirSync(routes, { recursive: true });
    home.configure({ driver: `directory:${routes}` }, { workers: 2 });
    const env = { ...process.env, NODE_PATH: path, STATE_DIRECTORY: home.path('state') };
    const run = (...args: string[]) => runHipache([...args, '--config', home.path('config.json')], { env });
    assert.equal((await run('route', 'set', 'a.example', one.url)).code, 0);
    const proxy = home.start([], undefined, undefined, env);
    await proxy.listening();
    assert.equal((await ask(proxy.port, 'a.example')).body, 'one');
    assert.equal((await run('route', 'set', 'a.example', two.url)).code, 0);
    await until('the change', async () => (await ask(proxy.port, 'a.example')).body === 'two');
    // Another program writes a record.
    writeFileSync(join(routes, encodeURIComponent('frontend:b.example')), JSON.stringify(['b', one.url]));
    await until('the new route', async () => (await ask(proxy.port, 'b.example')).body === 'one');
    assert.match((await run('route', 'list')).stdout, /a\.example .*\nb\.example /);
    const waited = await run('route', 'add', 'a.example', one.url, '--wait');
    assert.match(waited.stderr, /cannot tell which instances serve a change/);
  });

  test('that is none, or fails to load, is named', async (t) => {
    const path = packages(t);
    const add = (scheme: string, text: string): void => {
      const folder = join(path, `hipache-store-${scheme}`);
      mkdirSync(folder);
      writeFileSync(join(folder, 'package.json'), '{"type":"module","main":"index.js"}');
      writeFileSync(join(folder, 'index.js'), text);
    };
    add('nothing', 'export const a = 1;');
    add('broken', 'import "./absent.js";');
    add('other', 'export default () => ({ schemes: ["another"], describe() {}, open() {} });');
    const cases = [
      ['nothing:x', /the package hipache-store-nothing has no default export that makes a driver/],
      ['broken:x', /the package hipache-store-broken cannot be loaded: .*absent\.js/],
      ['other:x', /the package hipache-store-other is a driver of other schemes: another/],
      ['missing:x', /missing: is not a known store.*a package hipache-store-missing would add it/],
    ] as const;
    for (const [driver, message] of cases) {
      const { code, stderr } = await runHipache(['route', 'list', '--driver', driver], {
        env: { ...process.env, NODE_PATH: path },
      });
      assert.equal(code, 1);
      assert.match(stderr, message);
    }
  });
});
