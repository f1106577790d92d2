import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { runHipache } from '../../../test/helpers/hipache.ts';
import { until } from '../../../test/helpers/until.ts';
import { FilePlaces } from './file.suite.ts';

const text = '# Ours.\nroutes:\n  # A.\n  a.example:\n    id: shop # the shop\n    backends: [http://a:1]\n';
const nobody = 65_534;
const isRoot = process.getuid?.() === 0;

describe('a routes file that commands edit', () => {
  let place: FilePlaces;

  beforeEach(() => {
    place = new FilePlaces('routes.yaml', text);
  });

  afterEach(() => place.remove());

  const hipache = (...args: string[]) =>
    runHipache([...args, '--driver', `file:${place.path}`], {
      env: { ...process.env, STATE_DIRECTORY: join(place.directory, 'state') },
      cwd: place.directory,
    });

  /** Runs `source`, an async body with `store` and `withEditLock`, in a process of its own. */
  function child(source: string, uid?: number) {
    const url = (name: string) => JSON.stringify(new URL(name, import.meta.url).href);
    const script = `
      const { openFileStore } = await import(${url('./file-store.ts')});
      const { withEditLock } = await import(${url('./edit-lock.ts')});
      const store = await openFileStore({ path: ${JSON.stringify(place.path)}, format: 'yaml', marksPath: null });
      ${source}`;
    return spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
      ...(uid === undefined ? {} : { uid, gid: uid }),
    });
  }

  test('the commands work on it, and keep comments and order', async () => {
    assert.equal((await hipache('route', 'add', 'a.example', 'http://b:1')).code, 0);
    assert.equal((await hipache('route', 'set', '*.example', 'http://c:1')).code, 0);
    const edited = `${text.replace('[http://a:1]', '[http://a:1, http://b:1]')}  "*.example":\n    - http://c:1\n`;
    assert.equal(place.text, edited);
    assert.match(
      (await hipache('route', 'list')).stdout,
      /^\*\.example +\*\.example +http:\/\/c:1\na\.example +shop +http/,
    );
    assert.match((await hipache('explain', 'a.example')).stdout, /http:\/\/b:1/);
    assert.equal((await hipache('route', 'set', 'a.example', 'http://d:1')).code, 0);
    assert.match(place.text, /id: shop # the shop\n {4}backends: \[http:\/\/d:1\]/);
    assert.equal((await hipache('route', 'remove', 'a.example')).code, 0);
    assert.equal(place.text, '# Ours.\nroutes:\n  # A.\n  "*.example":\n    - http://c:1\n');
    assert.deepEqual(readdirSync(place.directory).sort(), ['.routes.yaml.lock', 'routes.yaml']);
  });

  test('a new file is made by the first edit, and not by a command that reads', async () => {
    rmSync(place.path);
    const list = await hipache('route', 'list');
    assert.deepEqual([list.code, existsSync(place.path)], [1, false]);
    assert.match(list.stderr, /routes\.yaml cannot be read: it does not exist/);
    assert.equal((await hipache('route', 'set', 'a.example', 'http://a:1')).code, 0);
    assert.equal(place.text, 'routes:\n  a.example:\n    - http://a:1\n');
  });

  test('commands at the same moment lose no edit', async () => {
    const urls = Array.from({ length: 12 }, (_, i) => `http://h${i}:1`);
    const results = await Promise.all(urls.map((url) => hipache('route', 'add', 'many.example', url)));
    assert.deepEqual(results.map(({ stderr }) => stderr).join(''), '');
    const store = await place.open();
    const [route] = await store.routes.read(['many.example']);
    assert.deepEqual(route?.frontend.slice(1).toSorted(), urls.toSorted());
    assert.ok(place.text.startsWith(text));
  });

  test('an edit by hand in the same moment is not overwritten', async () => {
    const store = await place.open();
    for (let i = 0; i < 20; i++) {
      const edit = store.routes.add('a.example', [`http://n${i}:1`]);
      const name = join(place.directory, 'by-hand.yaml');
      writeFileSync(name, `${place.text}  hand-${i}.example: [http://h:1]\n`);
      renameSync(name, place.path);
      await edit;
    }
    const hosts = (await store.routes.list('', 100)).map(({ pattern }) => pattern);
    assert.equal(hosts.filter((host) => host.startsWith('hand-')).length, 20);
  });

  test('a killed process holds no lock, and its unfinished file is removed', async () => {
    const locker = child(`await withEditLock(${JSON.stringify(place.path)}, async () => {
      console.log('locked');
      await new Promise((resolve) => setTimeout(resolve, 60_000));
    });`);
    await once(locker.stdout, 'data');
    const temporary = join(place.directory, '.routes.yaml.tmp');
    writeFileSync(temporary, 'routes:\n  half');
    const store = await place.open();
    let isDone = false;
    const edit = store.routes.add('a.example', ['http://b:1']).then(() => {
      isDone = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(isDone, false);
    locker.kill('SIGKILL');
    await edit;
    assert.match(place.text, /\[http:\/\/a:1, http:\/\/b:1\]/);
    assert.equal(existsSync(temporary), false);
  });

  test('a link stays, and mode and owner of its target too', async () => {
    const target = join(place.directory, 'repository', 'ours.yaml');
    mkdirSync(join(place.directory, 'repository'));
    renameSync(place.path, target);
    symlinkSync('repository/ours.yaml', place.path);
    chmodSync(target, 0o640);
    if (isRoot) chownSync(target, nobody, nobody);
    const store = await place.open();
    await store.routes.set('b.example', null, ['http://b:1']);
    assert.ok(lstatSync(place.path).isSymbolicLink());
    assert.match(readFileSync(target, 'utf8'), /b\.example/);
    const { mode, uid } = statSync(target);
    assert.deepEqual([mode & 0o777, uid], [0o640, isRoot ? nobody : process.getuid?.()]);
  });

  test('a file or a directory that cannot be written is reported as such', { skip: !isRoot }, async () => {
    chmodSync(place.directory, 0o755);
    const attempt = async () => {
      const process = child(
        `await store.routes.add('a.example', ['http://b:1']).catch(({ code, message }) => console.log(code, message));`,
        nobody,
      );
      const [bytes] = await once(process.stdout, 'data');
      return String(bytes);
    };
    assert.match(await attempt(), /^STORE_READ_ONLY .*routes\.yaml.* cannot be changed: this user has no permission/);
    chmodSync(place.directory, 0o777);
    assert.match(await attempt(), /^STORE_READ_ONLY .*routes\.yaml cannot be changed: this user has no permission/);
    assert.equal(place.text, text);
  });

  test('a file that a command cannot edit without another effect is left alone', async () => {
    place.write('routes:\n  a.example: &pool [http://a:1]\n  b.example: *pool\n');
    const store = await place.open();
    const message = /cannot be edited by a command, because of its anchors or form/;
    await assert.rejects(store.routes.add('a.example', ['http://b:1']), { code: 'STORE_UNSUPPORTED', message });
    await store.routes.add('b.example', ['http://b:1']);
    assert.equal(
      place.text,
      'routes:\n  a.example: &pool [http://a:1]\n  b.example:\n    - http://a:1\n    - http://b:1\n',
    );
  });

  test('certificates are named by hand, and removed by a command', async () => {
    const store = await place.open();
    const pair = { certificate: 'c', key: 'k' };
    const unsupported = { code: 'STORE_UNSUPPORTED', message: /holds no keys: put certificate and key in files/ };
    await assert.rejects(store.certificates.write('a.example', pair), unsupported);
    place.putCertificate('a.example', pair);
    const before = place.text;
    assert.match((await hipache('cert', 'list')).stdout, /^a\.example/);
    assert.equal((await hipache('cert', 'remove', 'a.example')).code, 0);
    assert.equal(place.text, before.replace(/certificates:\n.*$/s, 'certificates: {}\n'));
  });

  test('a damaged file of marks is reported; routes are served, and each process has its own marks', async () => {
    const state = join(place.directory, 'state');
    const writer = await place.open();
    const mark = { untilMs: Date.now() + 60_000, sinceMs: Date.now(), reason: 'x', instance: 'y' };
    await writer.marks.write('a.example', 'http://a:1', mark);
    await writer.close();
    const [name = ''] = readdirSync(state);
    writeFileSync(join(state, name), 'no database');
    const [one, other] = [await place.open(), await place.open()];
    await one.marks.write('a.example', 'http://a:1', mark);
    assert.equal((await one.routes.read(['a.example']))[0]?.down.size, 1);
    assert.equal((await other.routes.read(['a.example']))[0]?.down.size, 0);
    await until('the warning', () =>
      place.warnings.some((line) => /cannot be used, so each process has its own/.test(line)),
    );
  });
});
