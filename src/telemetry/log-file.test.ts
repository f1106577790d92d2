import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { until } from '../../test/helpers/until.ts';
import { HipacheError } from '../base/errors.ts';
import { LogFile } from './log-file.ts';

describe('the file of a log', () => {
  let directory: string;
  let problems: string[];

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'hipache-log-'));
    problems = [];
  });

  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  /** A log with lines `line <n>`, each 8 bytes long. */
  function open(path: string, bufferBytesMax = 1024 * 1024): { log: LogFile; request(): void } {
    let count = 0;
    const line = (): string => `line ${String(count++ % 100).padStart(2, '0')}\n`;
    const onProblem = (message: string): void => void problems.push(message);
    const log = new LogFile({ path, bufferBytesMax, onProblem });
    const request = (): void => {
      if (log.takes()) log.write(line());
    };
    return { log, request };
  }

  it('creates its directory, and writes every line in order, without further calls', async () => {
    const path = join(directory, 'deep', 'er', 'access.log');
    const { log, request } = open(path);
    for (let count = 0; count < 50; count++) request();
    const expected = Array.from({ length: 50 }, (_, count) => `line ${String(count).padStart(2, '0')}\n`).join('');
    await until('the lines', () => readFileSync(path, 'utf8') === expected);
    await log.close(1000);
  });

  it('writes everything before it closes', async () => {
    const path = join(directory, 'access.log');
    const { log, request } = open(path);
    for (let count = 0; count < 30_000; count++) request();
    await log.close(10_000);
    assert.equal(readFileSync(path).length, 30_000 * 8);
    assert.equal(log.dropped, 0);
  });

  it('neither loses nor repeats a line if the file is rotated under load', async () => {
    const path = join(directory, 'access.log');
    const { log, request } = open(path);
    for (let rotation = 0; rotation < 5; rotation++) {
      for (let count = 0; count < 20_000; count++) request();
      renameSync(path, `${path}.${rotation}`);
      log.reopen();
      await until('the new file', () => existsSync(path));
    }
    await log.close(10_000);
    const files = ['', '.0', '.1', '.2', '.3', '.4'].map((suffix) => readFileSync(path + suffix, 'utf8'));
    assert.equal(files.join('').length, 100_000 * 8);
    for (const text of files) assert.match(text, /^(line \d\d\n)*$/);
  });

  it('keeps the old file, and reports it, if the path cannot be reopened', async () => {
    const path = join(directory, 'sub', 'access.log');
    const { log, request } = open(path);
    renameSync(join(directory, 'sub'), join(directory, 'moved'));
    log.reopen();
    request();
    await log.close(1000);
    assert.match(problems.join(), /cannot reopen .*: ENOENT.*still using the old file/);
    assert.equal(readFileSync(join(directory, 'moved', 'access.log'), 'utf8'), 'line 00\n');
  });

  it('drops and counts lines beyond its buffer on a full disk, and reports it once', async () => {
    const { log, request } = open('/dev/full', 800);
    for (let count = 0; count < 100; count++) request();
    assert.equal(log.dropped, 0);
    request();
    await until('the failed write', () => problems.some((message) => message.includes('ENOSPC')));
    for (let count = 0; count < 1000; count++) request();
    assert.ok(log.dropped > 800, `${log.dropped} dropped`);
    await log.close(50);
    assert.equal(log.dropped, 1101);
    assert.equal(problems.filter((message) => message.includes('ENOSPC')).length, 1);
    assert.equal(problems.filter((message) => message.includes('too slow')).length, 1);
  });

  it('never waits for the reader of a FIFO, counts what it drops, and writes once there is one', async () => {
    const path = join(directory, 'fifo');
    execFileSync('mkfifo', [path]);
    const { log, request } = open(path, 800);
    for (let count = 0; count < 150; count++) request();
    assert.equal(log.dropped, 50);
    assert.match(problems[0] ?? '', /FIFO without a reader.*trying again/);
    const reader = spawn('cat', [path], { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    reader.stdout.on('data', (bytes: Buffer) => {
      text += bytes.toString();
    });
    await until('the lines', () => text.length === 800);
    assert.match(text, /^(line \d\d\n)*$/);
    await log.close(1000);
    await once(reader, 'close');
    assert.equal(problems.filter((message) => message.includes('FIFO')).length, 1);
  });

  it('keeps the old file while its path is a FIFO without a reader, and changes to the FIFO once it has one', async () => {
    const path = join(directory, 'access.log');
    const { log, request } = open(path);
    request();
    renameSync(path, `${path}.old`);
    execFileSync('mkfifo', [path]);
    log.reopen();
    await until('the problem', () => problems.some((message) => message.includes('FIFO without a reader')));
    request();
    await until('the old file', () => readFileSync(`${path}.old`, 'utf8') === 'line 00\nline 01\n');
    const reader = spawn('cat', [path], { stdio: ['ignore', 'pipe', 'inherit'] });
    const read = once(reader.stdout, 'data');
    await until('the FIFO', () => problems.some((message) => message.includes('can be written again')));
    request();
    assert.equal(String((await read)[0]), 'line 02\n');
    await log.close(1000);
    await once(reader, 'close');
  });

  it('closes at once without a reader', async () => {
    const path = join(directory, 'fifo');
    execFileSync('mkfifo', [path]);
    const { log, request } = open(path);
    request();
    await log.close(600_000);
    assert.equal(log.dropped, 1);
  });

  it('rejects a path that cannot be opened, with a hint', () => {
    assert.throws(
      () => open(`${process.execPath}/access.log`),
      (error) => error instanceof HipacheError && /cannot open .*access\.log.*server\.accessLog/.test(error.message),
    );
  });
});
