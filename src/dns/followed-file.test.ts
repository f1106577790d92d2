import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { FakeTime } from '../../test/helpers/fake-time.ts';
import { until } from '../../test/helpers/until.ts';
import { FollowedFile } from './followed-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'hipache-followed-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function follow(name: string) {
  const time = new FakeTime();
  const path = join(folder, name);
  const parsed: string[] = [];
  const parse = (text: string) => {
    parsed.push(text);
    return text;
  };
  return { time, path, parsed, file: new FollowedFile({ path, parse, clock: time.clock, setTimer: time.setTimer }) };
}

test('a file is read when it is needed, and again when it has changed, at most once a second', async () => {
  const { time, path, parsed, file } = follow('changes');
  writeFileSync(path, 'a');
  assert.deepEqual(await Promise.all([file.current(), file.current()]), ['a', 'a']);
  writeFileSync(path, 'b');
  assert.equal(await file.current(), 'a');
  time.nowMs += 1000;
  assert.equal(await file.current(), 'b');
  time.nowMs += 1000;
  assert.equal(await file.current(), 'b');
  writeFileSync(`${path}.new`, 'c');
  renameSync(`${path}.new`, path);
  time.nowMs += 1000;
  assert.equal(await file.current(), 'c');
  assert.deepEqual(parsed, ['', 'a', 'b', 'c']);
});

test('a file that is missing is empty, then its last content counts', async () => {
  const { time, path, file } = follow('missing');
  assert.equal(await file.current(), '');
  writeFileSync(path, 'a');
  time.nowMs += 1000;
  assert.equal(await file.current(), 'a');
  rmSync(path);
  time.nowMs += 1000;
  assert.equal(await file.current(), 'a');
});

test('a disk that hangs holds up readers once, and not for long', async () => {
  const { time, path, parsed, file } = follow('hangs');
  // A named pipe is a file whose reading does not end until someone writes.
  execFileSync('mkfifo', [path]);
  let content: string | null = null;
  try {
    void file.current().then((text) => {
      content = text;
    });
    await until('the reader to wait', () => time.pending === 1);
    await time.pass(500);
    await until('the reader to go on', () => content === '');
    await time.pass(60_000);
    assert.equal(await file.current(), '');
    assert.equal(time.pending, 0);
  } finally {
    // Ends the read, without which the process would not end.
    const pipe = await open(path, 'w');
    await pipe.writeFile('late');
    await pipe.close();
  }
  await until('the content to arrive', () => parsed.includes('late'));
});
