import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Hono } from 'hono';
import { problemOf } from './problem.ts';
import { StaticFiles } from './static-files.ts';

describe('StaticFiles', () => {
  let folder: string;
  let get: (path: string, method?: string) => Promise<Response>;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hipache-static-'));
    writeFileSync(join(folder, 'secret.txt'), 'secret');
    const files = new StaticFiles(join(folder, 'built'), '/help/');
    const app = new Hono();
    app.onError((error, context) => context.json({ detail: error.message }, (problemOf(error)?.status ?? 500) as 404));
    app.get('*', (context) => files.respond(context));
    get = async (path, method = 'GET') => app.fetch(new Request(`http://localhost${path}`, { method }));
  });

  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const build = (): void => {
    mkdirSync(join(folder, 'built', 'assets'), { recursive: true });
    writeFileSync(join(folder, 'built', 'index.html'), '<h1>Start</h1>');
    writeFileSync(join(folder, 'built', 'assets', 'help.css'), 'a {}');
    symlinkSync(join(folder, 'secret.txt'), join(folder, 'built', 'linked.txt'));
    symlinkSync(folder, join(folder, 'built', 'up'));
  };

  it('serves the files of its directory, with their types', async () => {
    build();
    for (const [path, text, type] of [
      ['/help/', '<h1>Start</h1>', 'text/html; charset=utf-8'],
      ['/help/index.html', '<h1>Start</h1>', 'text/html; charset=utf-8'],
      ['/help/assets/help.css?v=1', 'a {}', 'text/css; charset=utf-8'],
    ] as const) {
      const response = await get(path);
      assert.deepEqual(
        [response.status, await response.text(), response.headers.get('content-type')],
        [200, text, type],
      );
    }
    const head = await get('/help/', 'HEAD');
    assert.deepEqual([head.status, await head.text()], [200, '']);
  });

  it('serves nothing else, and follows no link', async () => {
    build();
    const paths = [
      'linked.txt',
      'up/secret.txt',
      'up',
      'assets',
      '..%2fsecret.txt',
      '%2e%2e%2fsecret.txt',
      'x/../../secret.txt',
    ];
    for (const path of [...paths, '/etc/passwd', 'index.html%00', 'constructor', '__proto__']) {
      assert.equal((await get(`/help/${path}`)).status, 404, path);
    }
    assert.equal((await get('/index.html')).status, 404);
  });

  it('says that its files have not been built, until they are', async () => {
    const response = await get('/help/');
    assert.equal(response.status, 503);
    assert.match(await response.text(), /have not been built; run .+npm run build/);
    build();
    assert.equal((await get('/help/')).status, 200);
  });
});
