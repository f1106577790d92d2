import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { after, test } from 'node:test';
import { ErrorCollector } from '../base/error-collector.ts';
import { openStore } from '../stores/open-store.ts';
import { runCommandLine } from './command-line.ts';

const folder = mkdtempSync(join(tmpdir(), 'hipache-cert-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const driver = `sqlite:${join(folder, 'routes.sqlite')}`;

class Text extends Writable {
  text = '';
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

async function run(...args: readonly string[]) {
  return runAt(Date.now(), ...args);
}

async function runAt(nowMs: number, ...args: readonly string[]) {
  const [stdout, stderr] = [new Text(), new Text()];
  const code = await runCommandLine([...args, '--driver', driver], {
    serve: async () => 0,
    check: async ({ warnings }) => ({ warnings, errors: new ErrorCollector() }),
    openStore,
    stdout,
    stderr,
    env: {},
    cwd: folder,
    now: () => nowMs,
  });
  const keys = /BEGIN (EC )?PRIVATE|MIG/;
  assert.doesNotMatch(stdout.text + stderr.text, keys, 'no key is ever shown');
  return { code, stdout: stdout.text, stderr: stderr.text };
}

/** Paths of a new certificate and its key. */
function make(name: string, names: string, ...more: readonly string[]): { cert: string; key: string } {
  const [cert, key] = [join(folder, `${name}.crt`), join(folder, `${name}.key`)];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const subject = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=${names}`];
  execFileSync(
    'openssl',
    ['req', '-x509', '-days', '30', ...curve, ...subject, ...more, '-keyout', key, '-out', cert],
    {
      stdio: 'ignore',
    },
  );
  return { cert, key };
}

const good = make('good', 'DNS:app.example,DNS:*.app.example');

test('cert set, list and remove, as text and as JSON', async () => {
  const files = ['--cert', good.cert, '--key', good.key];
  const set = await run('cert', 'set', 'App.Example.', ...files);
  assert.deepEqual([set.code, set.stderr], [0, '']);
  assert.match(set.stdout, /^app\.example: certificate created, for app\.example \*\.app\.example, until 20\d\d-/);
  const again = await run('cert', 'set', '*.app.example', ...files, '--json');
  const { notAfter, ...said } = JSON.parse(again.stdout) as Record<string, unknown>;
  assert.match(String(notAfter), /^20\d\d-\d\d-\d\dT/);
  assert.deepEqual(
    [said['pattern'], said['action'], said['names'], said['keyType']],
    ['*.app.example', 'created', ['app.example', '*.app.example'], 'ec'],
  );
  const store = await openStore(driver);
  assert.deepEqual(await store.certificates.read(['app.example']), [
    { certificate: readFileSync(good.cert, 'utf8'), key: readFileSync(good.key, 'utf8') },
  ]);
  await store.certificates.write('bad.example', { certificate: 'x', key: 'MIGsecret' });
  await store.close();
  const list = await run('cert', 'list');
  assert.equal(list.stdout.split('\n').length, 4);
  assert.match(list.stdout, /^bad\.example +cannot be used: /m);
  const rows = (await run('cert', 'list', '--json')).stdout.trim().split('\n');
  assert.deepEqual(
    rows.map((row) => (JSON.parse(row) as { pattern: string }).pattern),
    ['*.app.example', 'app.example', 'bad.example'],
  );
  assert.equal((await run('cert', 'remove', 'app.example')).stdout, 'app.example: certificate removed\n');
  const absent = await run('cert', 'remove', 'app.example');
  assert.deepEqual([absent.code, absent.stderr.includes('has no certificate')], [3, true]);
});

test('a certificate that has expired or has another name is stored with a warning', async () => {
  const old = make('old', 'DNS:old.example');
  const files = ['--cert', old.cert, '--key', old.key];
  const result = await runAt(Date.now() + 31 * 24 * 3600 * 1000, 'cert', 'set', 'new.example', ...files);
  assert.equal(result.code, 0);
  assert.match(result.stderr, /warning: the certificate has expired on 20\d\d-/);
  assert.match(result.stderr, /warning: the certificate is for old\.example, not for new\.example/);
});

test('an invalid certificate, or one with another key, is refused, and nothing is written', async () => {
  const other = make('other', 'DNS:other.example');
  const text = join(folder, 'text');
  writeFileSync(text, 'no PEM');
  for (const [cert, key, message] of [
    [good.cert, other.key, /does not belong/],
    [text, good.key, /not PEM/],
    [good.cert, text, /key/],
    [join(folder, 'none'), good.key, /--cert: there is no file /],
    ['/dev', good.key, /--cert: /],
  ] as const) {
    const result = await run('cert', 'set', 'refused.example', '--cert', cert, '--key', key);
    assert.equal(result.code, 2, String(message));
    assert.match(result.stderr, message);
  }
  assert.equal((await run('cert', 'set', 'refused.example', '--cert', good.cert)).code, 2);
  assert.doesNotMatch((await run('cert', 'list')).stdout, /refused/);
});
