import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadConfig } from './load.ts';

const directory = mkdtempSync(join(tmpdir(), 'hipache-networks-'));
after(() => rmSync(directory, { recursive: true, force: true }));

function load(trustedProxies: readonly string[]) {
  writeFileSync(join(directory, 'config.json'), JSON.stringify({ server: { trustedProxies } }));
  return loadConfig({ file: 'config.json', env: {}, cwd: directory }).config.server.trustedProxies;
}

test('the networks of files stand in place of their names, beside the others', () => {
  writeFileSync(
    join(directory, 'cdn.txt'),
    '# Published today.\r\n173.245.48.0/20\n\n2400:cb00::/32 # IPv6\n192.0.2.7',
  );
  assert.deepEqual(load(['10.0.0.0/8', 'file:cdn.txt']), [
    '10.0.0.0/8',
    '173.245.48.0/20',
    '2400:cb00::/32',
    '192.0.2.7',
  ]);
  assert.deepEqual(load([`file:${join(directory, 'cdn.txt')}`]).length, 3);
});

test('a file that is missing, wrong or empty is refused, with its name and line', () => {
  writeFileSync(join(directory, 'wrong.txt'), '10.0.0.0/8\n<html>\n');
  writeFileSync(join(directory, 'empty.txt'), '# nothing\n');
  assert.throws(() => load(['file:gone.txt']), {
    code: 'CONFIG_INVALID',
    message: /server\.trustedProxies\[0\]: .*gone\.txt/,
  });
  assert.throws(() => load(['::1', 'file:wrong.txt']), {
    message: /server\.trustedProxies\[1\]: .*wrong\.txt, line 2: found "<html>", allowed an address or a network/,
  });
  assert.throws(() => load(['file:empty.txt']), { message: /empty\.txt has no networks/ });
  assert.throws(() => load(['file:']), { message: /server\.trustedProxies\[0\]/ });
});
