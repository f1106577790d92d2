import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { freePort } from '../helpers/free-port.ts';
import { HipacheHome, program } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { ask } from '../helpers/http-client.ts';
import { until } from '../helpers/until.ts';
import { workerPids } from '../helpers/workers.ts';

describe('a log whose reader stalls', () => {
  let home: HipacheHome;
  let backend: HttpBackend;
  /** The end that nobody reads from any more, and with which the test fills the pipe. */
  let pipe: number;

  beforeEach(async () => {
    home = new HipacheHome();
    home.configure();
    backend = await HttpBackend.start('served');
    execFileSync('mkfifo', [home.path('log')]);
    pipe = openSync(home.path('log'), constants.O_RDWR | constants.O_NONBLOCK);
  });

  afterEach(async () => {
    await backend.stop();
    closeSync(pipe);
    await home.remove();
  });

  function readAll(): string {
    const bytes = Buffer.alloc(65_536);
    let text = '';
    try {
      for (;;) text += bytes.toString('latin1', 0, readSync(pipe, bytes));
    } catch {
      return text;
    }
  }

  function fill(): void {
    try {
      for (;;) writeSync(pipe, Buffer.alloc(4096, 0x78));
    } catch {
      // It is full.
    }
  }

  it('delays no request, no reload and not the end', async () => {
    const port = await freePort();
    home.configure({ http: { port, bind: ['127.0.0.1'] } }, { workers: 2, drainSeconds: 1 });
    await home.route('set', 'a.example', backend.url);
    await home.route('set', 'gone.example', 'http://127.0.0.1:1', 'http://127.0.0.1:2');
    const output = openSync(home.path('log'), constants.O_WRONLY);
    const child = spawn(program, ['--config', home.path('config.json')], { stdio: ['ignore', output, 'ignore'] });
    closeSync(output);
    const ended = once(child, 'exit');
    try {
      let log = '';
      const logged = (text: string) => {
        const find = (): boolean => {
          log += readAll();
          return log.includes(text);
        };
        return until(text, find, 60_000);
      };
      await logged('listening on');
      // The end of a process that shares the pipe makes the pipe blocking.
      child.kill('SIGHUP');
      await logged('the new configuration is in use');
      await until('the end of the former workers', () => workerPids(child.pid as number).length === 2);
      fill();
      for (let count = 0; count < 20; count++) assert.equal((await ask(port, 'gone.example')).status, 502);
      for (let count = 0; count < 50; count++) assert.equal((await ask(port, 'a.example')).status, 200);
      child.kill('SIGHUP');
      for (let count = 0; count < 50; count++) assert.equal((await ask(port, 'a.example')).status, 200);
      child.kill('SIGTERM');
      await ended;
      await assert.rejects(ask(port, 'a.example'));
    } finally {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGKILL');
        await ended;
      }
    }
  });
});
