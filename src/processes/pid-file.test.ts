import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Log } from '../base/log.ts';
import { PidFile } from './pid-file.ts';

test('a pid file names this process, and is removed only as long as it does', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'hipache-pid-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const lines: string[] = [];
  const write: Log['info'] = (message) => void lines.push(message);
  const log: Log = { debug: write, info: write, warn: write, error: write };
  const path = join(folder, 'pid');
  const file = new PidFile(path, log);
  file.write();
  assert.equal(readFileSync(path, 'utf8'), `${process.pid}\n`);
  assert.deepEqual(readdirSync(folder), ['pid']);
  file.remove();
  assert.equal(existsSync(path), false);
  writeFileSync(path, '1\n');
  file.remove();
  assert.equal(existsSync(path), true);
  assert.deepEqual(lines, []);
  new PidFile(join(folder, 'none', 'pid'), log).write();
  assert.match(lines.join(), /^server\.pidFile cannot be written: ENOENT/);
});
