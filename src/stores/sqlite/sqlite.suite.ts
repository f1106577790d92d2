import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after } from 'node:test';

export const directory = mkdtempSync(join(tmpdir(), 'hipache-sqlite-'));
// Children of other users work in it as well.
chmodSync(directory, 0o755);
after(() => rmSync(directory, { recursive: true, force: true }));
let places = 0;
/** A path for a store of its own, in a directory that is not there yet. */
export const newPath = () => join(directory, `place-${++places}`, 'routes.db');

/** The URL of the driver, as source text for a child. */
export const module = JSON.stringify(new URL('./sqlite-store.ts', import.meta.url).href);

/** A child process that runs `source`, an async body that has `openSqlite` and `say(text)`. */
export function child(source: string, options: { uid?: number } = {}): ChildProcess {
  const script = `
    import { writeSync } from 'node:fs';
    const { openSqlite } = await import(${module});
    const say = (text) => writeSync(1, text + '\\n');
    ${source}`;
  return spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['pipe', 'pipe', 'inherit'],
    ...options,
  });
}

/** Leaves a file and its log as a killed process does. @param source an async body that has `store`. */
export async function killWriter(path: string, source: string): Promise<void> {
  const writer = child(`const store = await openSqlite(${JSON.stringify(path)}); ${source}; say('ready');`);
  await firstLine(writer);
  await kill(writer);
}

export async function kill(process: ChildProcess): Promise<void> {
  if (process.exitCode !== null || process.signalCode !== null) return;
  const ended = once(process, 'exit');
  process.kill('SIGKILL');
  await ended;
}

export function removeLog(path: string): void {
  for (const suffix of ['-wal', '-shm']) rmSync(`${path}${suffix}`);
}

/** The lines that a child says until it ends. */
export async function linesOf(process: ChildProcess): Promise<string[]> {
  assert.ok(process.stdout);
  const ended = once(process, 'exit');
  const lines = await Array.fromAsync(createInterface({ input: process.stdout }));
  await ended;
  return lines;
}

export async function firstLine(process: ChildProcess): Promise<string> {
  assert.ok(process.stdout);
  for await (const line of createInterface({ input: process.stdout })) return line;
  return '';
}
