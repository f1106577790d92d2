import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { Commands, folder } from '../cli/commands.suite.ts';
import { AdminApi } from './admin-api.suite.ts';

/** Runs a command. @param where `--driver` or `--admin` with its value. */
async function run(where: readonly string[], args: readonly string[], stdin: string) {
  const { code, err, out } = await new Commands(where).run(args, stdin);
  // Times differ from run to run.
  const masked = [out, err].map((text) =>
    text
      .replace(/\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)/g, 'TIME')
      .replaceAll(/\/tmp\/hipache-\w+-\w+/g, 'FOLDER')
      .replace(/("(?:afterMs|remainingMs|agoMs)":)[\d.]+/g, '$1N')
      .replace(/after [\d.]+ (ms|s)|[\d.]+ s in all|\(in [^)]*\)|drain=\d+/g, 'AFTER'),
  );
  return { code, out: masked[0], err: masked[1] };
}

test('every command does the same through the admin API', async (t) => {
  const backend = createServer((asked, response) => {
    response.statusCode = asked.url === '/bad' ? 500 : 200;
    response.end();
  }).listen(0, '127.0.0.1');
  t.after(() => backend.close());
  await new Promise((resolve) => backend.once('listening', resolve));
  const url = `http://127.0.0.1:${(backend.address() as AddressInfo).port}`;
  const [cert, key] = [join(folder, 'a.crt'), join(folder, 'a.key')];
  const subject = ['-subj', '/CN=a.test', '-addext', 'subjectAltName=DNS:a.test'];
  const made = ['req', '-x509', '-days', '30', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  execFileSync('openssl', [...made, ...subject, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  writeFileSync(join(folder, 'changes'), '{"add":"a.test","backends":["http://10.0.0.4"]}\n\n{"remove":"gone.test"}\n');
  writeFileSync(join(folder, 'wrong'), '{"add":"a.test"}\nx\n');
  const commands: readonly (string | readonly [command: string, stdin: string])[] = [
    ...['route list', 'route show a.test', 'route set a.test http://10.0.0.1 http://10.0.0.2#weight=3 --id shop'],
    ...['route set a.test/api http://10.0.0.9', 'route set *.b.test --empty', 'route set c.test http://x --ttl 600'],
    ...['route show a.test/api', 'route show a.test --json', 'route show c.test', 'route list', 'route list --json'],
    ...[
      'route add a.test http://10.0.0.3#backup',
      'route add a.test ftp://x',
      'route add a.test http://x --if-version 1',
    ],
    ...['route set a.test http://x --if-version none', 'route set new.test http://x --if-version none'],
    ...['route remove a.test http://10.0.0.3', 'route remove a.test http://none', 'route remove none.test'],
    ...['route remove a.test http://10.0.0.2 --drain=1', 'route remove a.test http://10.0.0.1 --drain=x'],
    ...['route set a.test http://10.0.0.1 --wait=5', 'route set a.test http://10.0.0.1 --wait=x'],
    ...[
      'route apply changes --dry-run',
      'route apply changes',
      'route apply wrong',
      'route apply none',
      'route accept',
    ],
    ...['option set a.test requestsMax 200 timeout 5', 'option set a.test requestMax 200', 'option set a.test x'],
    ...['option set a.test basicAuth user:$2b$04$abcdefghijklmnopqrstuu5Lyo1kC8vTUvWPRy1lWZkfsKr4bQZ1a', 'option list'],
    ...['option list a.test', 'option list --json', 'option unset a.test timeout', 'option unset a.test timeout'],
    ...['option unset a.test', 'option unset a.test --all', 'option names', 'option explain a.test'],
    ...['pause a.test', 'resume a.test', 'explain a.test', 'explain a.test/api --json', 'explain none.test'],
    ...['explain http://a.test', 'explain a.test --client nobody', 'explain a.test -H x', 'fleet', 'fleet --json'],
    ...[`deploy d.test ${url}`, `deploy d.test ${url} --health /bad --health-timeout 1s`, `deploy d.test x`],
    ...[
      `deploy d.test http://127.0.0.1:1 --health-timeout 300ms`,
      `deploy d.test ${url} --canary 5%`,
      'rollback d.test',
    ],
    ...['deploy promote d.test', 'deploy abort d.test', 'deploy d.test http://x --health-status 700'],
    ...[`cert set a.test --cert ${cert} --key ${key}`, `cert set b.test --cert ${cert} --key ${key} --json`],
    ...[`cert set a.test --cert ${cert} --key ${cert}`, `cert set a.test --cert none --key ${key}`, 'cert list'],
    ...['cert list --json', 'cert list --waiting', 'cert show a.test', 'cert show a.test --pem', 'cert show none.test'],
    ...[
      'cert why a.test',
      'cert why none.test --json',
      'cert order none.test',
      'cert revoke a.test',
      'cert revoke a.test --reason x',
    ],
    ...[
      'cert remove b.test',
      'cert remove b.test',
      'route export',
      'route export --certificates',
      'route export --after b',
    ],
    ['route import --dry-run', '{"route":{"pattern":"i.test","backends":["http://x"]}}\n'],
    [
      'route import',
      '{"route":{"pattern":"i.test","backends":["http://x"]}}\n{"options":{"pattern":"i.test","options":{"timeout":"5"}}}\n',
    ],
    ['route import', 'x\n'],
    ['route import --json', '{"route":{"pattern":"i.test","backends":["http://x"]}}\n'],
    ...['owner list', 'owner list --json', 'owner show a.test', 'owner show a.test --json', 'owner show a..b'],
    ...['owner hosts docker none', 'owner forget docker none', 'owner forget docker', 'owner'],
    ...['docker --socket ftp://x', 'docker --source a:b', 'docker --owner', 'docker --address a:80', 'docker --json'],
    ...['docker --socket /none.sock --once', 'docker --network= --once'],
    ...['route list --dry', 'route', 'admin token', 'no'],
  ];
  const api = await AdminApi.start(t);
  const store = ['--driver', `sqlite:${join(folder, 'routes.sqlite')}`];
  for (const command of commands) {
    const [line, stdin] = typeof command === 'string' ? [command, ''] : command;
    const [here, there] = [
      await run(store, line.split(' '), stdin),
      await run(['--admin', api.address], line.split(' '), stdin),
    ];
    assert.deepEqual(there, here, line);
  }
  assert.deepEqual(
    api.logged.filter(({ message }) => message !== 'admin API'),
    [],
  );
});

test('an instance that is not there, or a wrong address, is named', async (t) => {
  const there = await run(['--admin', `unix:${folder}/none.sock`], ['route', 'list'], '');
  assert.equal(there.code, 1);
  assert.match(there.err ?? '', /^hipache: no answer from the admin API at unix:\S+: .*ENOENT/);
  const wrong = await run(['--admin', 'ftp://x'], ['route', 'list'], '');
  assert.equal(wrong.code, 2);
  assert.match(wrong.err ?? '', /^hipache: --admin: found "ftp:\/\/x", allowed unix:/);
  const other = createServer((_asked, response) => response.end('ok')).listen(0, '127.0.0.1');
  t.after(() => other.close());
  await new Promise((resolve) => other.once('listening', resolve));
  const url = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
  const strange = await run(['--admin', url], ['route', 'list'], '');
  assert.match(strange.err ?? '', /^hipache: --admin: no answer of the API: ok/);
  const above = await run(['--admin', url], ['route', 'show', '..'], '');
  assert.match(above.err ?? '', /^hipache: "\.\." is no host/);
  const odd = await run(['--admin', url], ['route', 'set', 'a.test', 'http://x', '--if-version', 'a"b'], '');
  assert.match(odd.err ?? '', /^hipache: the version "a\\"b" is none/);
  const both = await run(['--admin', 'http://x', '--driver', 'sqlite:x'], ['route', 'list'], '');
  assert.match(both.err ?? '', /--admin does not combine with --config and --driver/);
});
