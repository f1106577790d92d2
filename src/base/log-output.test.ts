import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { LogOutput } from './log-output.ts';

describe('the output of a log', () => {
  let directory: string;
  /** Both ends of a pipe, which blocks, and one for reading, which does not. */
  let pipe: number;
  let reader: number;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'log-output-'));
    execFileSync('mkfifo', [join(directory, 'pipe')]);
    pipe = openSync(join(directory, 'pipe'), constants.O_RDWR);
    reader = openSync(join(directory, 'pipe'), constants.O_RDONLY | constants.O_NONBLOCK);
  });

  afterEach(() => {
    closeSync(pipe);
    closeSync(reader);
    rmSync(directory, { recursive: true });
  });

  function read(): string {
    const bytes = Buffer.alloc(65_536);
    try {
      return bytes.toString('latin1', 0, readSync(reader, bytes));
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'EAGAIN');
      return '';
    }
  }

  test('has every line, in order', async () => {
    const path = join(directory, 'file');
    const fd = openSync(path, 'a');
    const output = new LogOutput({ fd });
    const lines = Array.from({ length: 1000 }, (_, i) => `line ${i} ä\n`);
    for (const line of lines) output.write(line);
    assert.equal(await output.close(10_000), true);
    assert.equal(readFileSync(path, 'utf8'), lines.join(''));
    closeSync(fd);
  });

  test('never blocks on a stalled reader: lines are dropped, and reported once there is room', async () => {
    const dropped: number[] = [];
    const output = new LogOutput({ fd: pipe, onDropped: (lines) => dropped.push(lines) });
    const line = `${'x'.repeat(999)}\n`;
    // The pipe holds 64 KiB, the output 1 MiB.
    for (let count = 0; count < 2000; count++) output.write(line);
    assert.equal(await output.close(100), false);
    assert.deepEqual(dropped, []);
    let text = '';
    for (let ms = 0; dropped.length === 0 && ms < 10_000; ms++) {
      text += read();
      await output.close(1);
    }
    const written = text.length / line.length;
    assert.ok(written > 900 && written <= 1200, `${written} lines`);
    assert.equal(text, line.repeat(text.length / 1000));
    assert.equal(dropped.length, 1);
    assert.ok((dropped[0] ?? 0) >= 800);
  });

  test('gives up once its reader has gone', async () => {
    const path = join(directory, 'pipe');
    const writer = openSync(path, constants.O_WRONLY);
    closeSync(pipe);
    closeSync(reader);
    const output = new LogOutput({ fd: writer });
    output.write('line\n');
    assert.equal(await output.close(10_000), true);
    output.write('line\n');
    assert.equal(await output.close(0), true);
    closeSync(writer);
    pipe = openSync(path, constants.O_RDWR);
    reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  });
});
