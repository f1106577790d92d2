import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readRegularFile, readRegularFileSync } from './regular-file.ts';

const directory = mkdtempSync(join(tmpdir(), 'hipache-files-'));
after(() => rmSync(directory, { recursive: true, force: true }));

for (const [how, read] of [
  ['at once', async (path: string, bytesMax: number) => readRegularFileSync(path, bytesMax)],
  ['outside of the event loop', readRegularFile],
] as const) {
  test(`a regular file is read ${how}, up to its bound`, async () => {
    const path = join(directory, 'file');
    writeFileSync(path, 'content');
    assert.equal(String(await read(path, 7)), 'content');
    await assert.rejects(read(path, 6), /larger than 6 bytes/);
    writeFileSync(path, '');
    assert.equal(String(await read(path, 7)), '');
    await assert.rejects(read(join(directory, 'none'), 7), { code: 'ENOENT' });
  });

  test(`a FIFO, a device and a directory are refused ${how}, without waiting`, async () => {
    const fifo = join(directory, `fifo ${how}`);
    execFileSync('mkfifo', [fifo]);
    for (const path of [fifo, '/dev/zero']) await assert.rejects(read(path, 7), /not a regular file/);
    await assert.rejects(read(directory, 7), { code: 'EISDIR' });
  });
}
