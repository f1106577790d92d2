import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { operatingErrorsOf } from '../base/error-collector.ts';
import { loadConfig } from '../config/load.ts';
import { certificateDirectoryProblems, checkStart } from './start-check.ts';

test('the certificate directory of certbot: first the directory is named, then its keys, then nothing', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'hipache-letsencrypt-'));
  t.after(() => rmSync(folder, { recursive: true }));
  chmodSync(folder, 0o755);
  const live = join(folder, 'live');
  for (const name of ['a.example', 'b.example']) {
    mkdirSync(join(live, name), { recursive: true });
    for (const file of ['fullchain.pem', 'privkey.pem']) writeFileSync(join(live, name, file), '', { mode: 0o644 });
    chmodSync(join(live, name, 'privkey.pem'), 0o600);
  }
  const { config } = loadConfig({ env: {}, cwd: '/', isRoot: true });
  const https = { ...config.https, certificates: live };
  const account = { user: 'hipache', uid: 54_321, gid: 54_321, groups: [] };
  const problems = () => certificateDirectoryProblems({ ...config, https }, account);
  chmodSync(live, 0o700);
  assert.match(
    problems().join(),
    /^https\.certificates: hipache may not read \S+\/live \(mode 0700, .*: no certificate in it is served; docs\/tls\.md \(certbot\) says what to change$/,
  );
  chmodSync(live, 0o755);
  assert.match(
    problems().join(),
    /^https\.certificates: hipache may not read \S+\/a\.example\/privkey\.pem \(mode 0600, .* and 1 more: their names get no certificate/,
  );
  for (const name of ['a.example', 'b.example']) chmodSync(join(live, name, 'privkey.pem'), 0o644);
  assert.deepEqual(problems(), []);
  assert.deepEqual(certificateDirectoryProblems(config, account), []);
});

test('files that prevent the start are named: of the wrong kind, missing or damaged', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'hipache-files-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = (name: string) => join(folder, name);
  mkdirSync(path('folder'));
  execFileSync('mkfifo', [path('fifo')]);
  writeFileSync(path('empty'), '');
  writeFileSync(path('text'), 'no database, no certificate');
  const database = new DatabaseSync(path('database'));
  database.exec('CREATE TABLE x (y)');
  database.close();

  /** The messages for a configuration: errors, then warnings. */
  async function problems(config: Record<string, unknown>, server: Record<string, unknown> = {}): Promise<string[]> {
    const all = {
      ...{ server: { accessLog: '-', ...server }, http: { bind: '127.0.0.1', port: 0 }, user: 'root' },
      ...{ driver: `sqlite:${path('new')}`, ...config },
    };
    writeFileSync(path('config.json'), JSON.stringify(all));
    const loaded = loadConfig({ file: path('config.json'), env: {}, cwd: folder, isRoot: true });
    const { warnings, errors } = await checkStart(loaded);
    try {
      errors.check();
      return [...warnings];
    } catch (error) {
      return [...(operatingErrorsOf(error) ?? []).map(({ message }) => message), ...warnings];
    }
  }

  const store = (name: string) => problems({ driver: `sqlite:${path(name)}` });
  assert.deepEqual(await store('new'), []);
  assert.deepEqual(await store('empty'), []);
  assert.deepEqual(await store('database'), []);
  assert.deepEqual(await store('folder'), [`driver: ${path('folder')} is a directory`]);
  assert.deepEqual(await store('fifo'), [`driver: ${path('fifo')} is not a regular file`]);
  assert.deepEqual(await store('text'), [`driver: ${path('text')} is not a SQLite database`]);
  assert.deepEqual(await problems({}, { accessLog: path('folder') }), [
    `server.accessLog: ${path('folder')} is a directory`,
  ]);
  assert.deepEqual(await problems({}, { accessLog: path('fifo') }), []);
  const authority = (name: string) => problems({ backendTls: { ca: [path(name)] } });
  assert.deepEqual(await authority('none'), [`backendTls.ca: ${path('none')} does not exist`]);
  assert.deepEqual(await authority('text'), [`backendTls.ca: ${path('text')}: it contains no PEM certificate`]);
  assert.deepEqual(await problems({}, { pidFile: path('pid') }), []);
  assert.match(
    (await problems({}, { pidFile: path('none/pid') })).join(),
    /^server\.pidFile: \S+none does not exist; "hipache upgrade" would not find the program$/,
  );
  assert.match((await problems({}, { pidFile: path('folder') })).join(), /^server\.pidFile: \S+folder is a directory/);
});

const isRoot = process.getuid?.() === 0;

test('a user or group that does not exist is found, by its name and by its number', { skip: !isRoot }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'hipache-accounts-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const problems = async (user: unknown, group: unknown): Promise<string[]> => {
    const file = join(folder, 'config.json');
    const server = { accessLog: '-' };
    const place = { http: { bind: '127.0.0.1', port: 0 }, driver: `sqlite:${join(folder, 'new')}` };
    writeFileSync(file, JSON.stringify({ server, ...place, user, group }));
    const loaded = loadConfig({ file, env: {}, cwd: folder, isRoot: true });
    const { warnings, errors } = await checkStart(loaded);
    const added = warnings.slice(loaded.warnings.length);
    try {
      errors.check();
      return added;
    } catch (error) {
      return [...(operatingErrorsOf(error) ?? []).map(({ message }) => message), ...added];
    }
  };
  assert.match((await problems('no-such-user', null)).join(), /^user: no user "no-such-user" on this machine/);
  assert.match((await problems(54_321, null)).join(), /^user: no user "54321" on this machine/);
  assert.match((await problems('nobody', 'no-such-group')).join(), /^group: no group "no-such-group" on this machine/);
  const numbered = 'group: no group has the number 54321 on this machine; the program runs with it all the same';
  assert.deepEqual(await problems('nobody', 54_321), [numbered]);
  assert.deepEqual(await problems(0, 54_321), [], 'root changes to no group');
  assert.deepEqual(await problems('nobody', null), []);
});
