import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Access, accessProblem, nearestDirectory } from './access-problem.ts';

const own = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
/** An account that is neither the owner's nor of its group. */
const other = { user: 'www', uid: own.uid + 40_000, gid: own.gid + 40_000, groups: [] };

/** A directory with one file, which everybody may enter and read. */
function setUp(t: TestContext): { folder: string; file: string } {
  const folder = mkdtempSync(join(tmpdir(), 'hipache-access-'));
  t.after(() => rmSync(folder, { recursive: true }));
  chmodSync(folder, 0o755);
  const file = join(folder, 'file');
  writeFileSync(file, '');
  chmodSync(file, 0o644);
  return { folder, file };
}

test('a file that may be used has no problem', (t) => {
  const { folder, file } = setUp(t);
  assert.equal(accessProblem(file, Access.READ, other), null);
  assert.equal(accessProblem(folder, Access.READ | Access.ENTER, other), null);
  assert.equal(accessProblem(file, Access.READ | Access.WRITE, null), null);
});

test('the problem names the file, the user and the mode', (t) => {
  const { file } = setUp(t);
  chmodSync(file, 0o640);
  assert.match(
    accessProblem(file, Access.READ, other) ?? '',
    /^www may not read \/.*\/file \(mode 0640, uid \d+, gid \d+\)$/,
  );
  assert.equal(accessProblem(file, Access.READ, { ...other, groups: [own.gid] }), null);
  assert.match(
    accessProblem(file, Access.READ | Access.WRITE, { ...other, gid: own.gid }) ?? '',
    /may not read or write/,
  );
});

test('a directory above it that may not be entered is named', (t) => {
  const { folder } = setUp(t);
  const inner = join(folder, 'live');
  mkdirSync(join(inner, 'a.example'), { recursive: true });
  chmodSync(inner, 0o700);
  const problem = accessProblem(join(inner, 'a.example'), Access.READ, other);
  assert.match(problem ?? '', /^www may not enter \/.*\/live \(mode 0700,/);
});

test('a missing file is named, and the directory in which it would be made is found', (t) => {
  const { folder } = setUp(t);
  const missing = join(folder, 'a', 'b', 'c');
  assert.equal(accessProblem(missing, Access.READ, null), `${join(folder, 'a')} does not exist`);
  assert.equal(nearestDirectory(missing), folder);
});

test('root may do everything', (t) => {
  const { file } = setUp(t);
  chmodSync(file, 0);
  assert.equal(accessProblem(file, Access.READ, { user: 'root', uid: 0, gid: 0, groups: [] }), null);
});
