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

test('show gives a certificate with its chain', async () => {
  assert.equal((await run('cert', 'set', 'shown.example', '--cert', good.cert, '--key', good.key)).code, 0);
  const { stdout } = await run('cert', 'show', 'shown.example');
  assert.match(
    stdout,
    /^certificate of +shown\.example\nnames +app\.example \*\.app\.example\nissuer +good\nvalid +from 20.* until 20.* \(in .*\)$/m,
  );
  assert.match(
    stdout,
    /^key +ec, in clear in the store\nserial +[0-9A-F]+\nSHA-256 +(?:[0-9A-F]{2}:){31}[0-9A-F]{2}$/m,
  );
  assert.equal((await run('cert', 'show', 'shown.example', '--pem')).stdout, readFileSync(good.cert, 'utf8'));
  const shown = JSON.parse((await run('cert', 'show', 'shown.example', '--json')).stdout);
  assert.deepEqual([shown.keyType, shown.chain, shown.isKeyEncrypted], ['ec', [], false]);
  const none = await run('cert', 'show', 'none.example');
  assert.deepEqual([none.code, /"hipache cert why none\.example" says why/.test(none.stderr)], [3, true]);
});

test('orders that are not at rest are listed, the next attempt first', async () => {
  const nowMs = Date.parse('2026-06-01T00:00:00Z');
  const store = await openStore(driver);
  const failure = {
    count: 3,
    atMs: 0,
    untilMs: nowMs + 60_000,
    type: 'checkFailed',
    detail: 'no\naddress',
    authority: null,
  };
  const issued = {
    authority: 'https://ca.example/',
    identifier: null,
    fingerprint: '',
    notBeforeMs: 0,
    notAfterMs: 0,
    atMs: 0,
  };
  const order = { authority: 'https://ca.example/', url: 'https://ca.example/1', key: 'secret', begunMs: 0 };
  for (const [pattern, state, dueMs] of [
    ['failed.example', { failure }, nowMs + 60_000],
    [
      'waits.example',
      { failure: { ...failure, count: 0, untilMs: nowMs + 50_000, detail: 'the orders are used up' } },
      nowMs + 50_000,
    ],
    ['under-way.example', { order }, nowMs + 30_000],
    ['asked.example', {}, nowMs],
    ['at-rest.example', { issued }, nowMs + 90_000],
  ] as const) {
    await store.notes.write(`order:${pattern}`, JSON.stringify({ pattern, ...state }), { dueMs });
  }
  await store.close();
  const { stdout } = await runAt(nowMs, 'cert', 'list', '--waiting');
  assert.deepEqual(
    stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.replace(/ +/g, ' ').trimEnd()),
    [
      'asked.example asked now',
      'under-way.example under way now',
      'waits.example waits again at 2026-06-01T00:00:50.000Z the orders are used up',
      'failed.example failed, 3 in a row again at 2026-06-01T00:01:00.000Z no\\naddress',
    ],
  );
  const [first] = (await runAt(nowMs, 'cert', 'list', '--waiting', '--json')).stdout.split('\n');
  assert.deepEqual(JSON.parse(first ?? ''), {
    pattern: 'asked.example',
    state: 'asked',
    nextAt: null,
    failures: 0,
    detail: null,
  });
});

test('explain warns of a certificate', async () => {
  assert.equal((await run('route', 'set', 'warned.example', 'http://127.0.0.1:1')).code, 0);
  const problems = async (laterMs = 0): Promise<string> =>
    JSON.parse((await runAt(Date.now() + laterMs, 'explain', 'warned.example', '--json')).stdout).problems.join('\n');
  assert.equal(await problems(), '');
  assert.equal((await run('cert', 'set', 'warned.example', '--cert', good.cert, '--key', good.key)).code, 0);
  const day = 24 * 3600_000;
  assert.equal(await problems(), '');
  assert.match(await problems(28 * day), /^its certificate ends on 20/);
  assert.match(await problems(31 * day), /^its certificate has expired on 20/);
  assert.match(await problems(-2 * day), /^its certificate is not valid before 20/);
});
