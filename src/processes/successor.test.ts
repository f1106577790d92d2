import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { until } from '../../test/helpers/until.ts';
import { isRunning } from '../../test/helpers/workers.ts';
import { Successor } from './successor.ts';

describe('a successor', () => {
  let directory: string;
  let successor: Successor;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'hipache-successor-'));
  });

  afterEach(async () => {
    if (isRunning(successor.pid)) process.kill(successor.pid, 'SIGKILL');
    await until('its end', () => !isRunning(successor.pid));
    rmSync(directory, { recursive: true, force: true });
  });

  /** Starts a program that hangs and ignores SIGTERM. */
  async function startHanging(endMs?: number): Promise<void> {
    const program = join(directory, 'program');
    const ready = join(directory, 'ready');
    writeFileSync(program, `#!/bin/sh\ntrap '' TERM\n: > '${ready}'\nexec sleep 1000\n`, { mode: 0o755 });
    const env = { ...process.env, HIPACHE_PROGRAM: program };
    successor = new Successor({ addresses: [], env, onStop: () => {}, ...(endMs === undefined ? {} : { endMs }) });
    await until('the program', () => existsSync(ready));
  }

  /** What a successor with these arguments gets: its arguments, then the directory of compiled code. */
  async function inheritedBy(args: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
    const program = join(directory, 'program');
    const text = join(directory, 'text');
    writeFileSync(program, `#!/bin/sh\necho "$* $NODE_COMPILE_CACHE" > '${text}'\n`, { mode: 0o755 });
    const { NODE_COMPILE_CACHE, HIPACHE_COMPILE_CACHE, ...rest } = process.env;
    const all = { ...rest, HIPACHE_PROGRAM: program, ...env };
    successor = new Successor({ addresses: [], env: all, onStop: () => {}, args });
    assert.match((await successor.outcome) ?? '', /exit code 0/);
    return readFileSync(text, 'utf8').trim();
  }

  test('has the same arguments, except that it is beside nobody', async () => {
    assert.equal(await inheritedBy(['--beside', '-c', 'file'], {}), '-c file');
  });

  test('inherits a directory of compiled code from the environment, but not one of the former version', async () => {
    const own = { NODE_COMPILE_CACHE: '/own', HIPACHE_COMPILE_CACHE: '/own' };
    assert.equal(await inheritedBy([], own), '');
    assert.equal(await inheritedBy([], { NODE_COMPILE_CACHE: '/given' }), '/given');
    assert.equal(await inheritedBy([], { ...own, NODE_COMPILE_CACHE: '/given' }), '/given');
  });

  test('that hangs and is given up is ended by force', async () => {
    await startHanging(50);
    successor.abort();
    await until('its end', () => !isRunning(successor.pid), 5000);
    assert.equal(await successor.outcome, 'it was ended');
  });

  test('is ended at once', async () => {
    await startHanging();
    successor.kill();
    assert.equal(await successor.outcome, 'it was ended');
  });
});
