import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ask } from '../helpers/http-client.ts';
import { until } from '../helpers/until.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

describe('npm run demo, at a terminal', () => {
  let terminal: ChildProcess;
  let screen: string;

  beforeEach(async () => {
    screen = '';
    // It gets its own terminal, so that keys can be pressed.
    terminal = spawn(
      'script',
      ['--quiet', '--return', '--command', `${process.execPath} scripts/demo.ts`, '/dev/null'],
      {
        cwd: root,
        stdio: ['pipe', 'pipe', 'inherit'],
      },
    );
    terminal.stdout?.on('data', (bytes: Buffer) => {
      screen += bytes.toString();
    });
    await until('the demo', () => screen.includes('The log of the proxy') || terminal.exitCode !== null);
  });

  afterEach(async () => {
    if (terminal.exitCode !== null) return;
    terminal.kill('SIGKILL');
    await new Promise((resolve) => terminal.once('close', resolve));
  });

  const port = (): number => Number(/http:\/\/demo\.localhost:(\d+)\//.exec(screen)?.[1]);
  /** Which of the two applications responds. */
  const asked = async (): Promise<string> => {
    const { status, body } = await ask(port(), 'demo.localhost');
    assert.equal(status, 200);
    return /blue|green/.exec(body)?.[0] ?? body;
  };
  const press = (key: string): void => void terminal.stdin?.write(key);

  it('continues while an application dies and comes back, does what it says, and leaves nothing behind', async () => {
    await until('both applications', async () => (await asked()) === 'blue');
    await until('both applications', async () => (await asked()) === 'green');

    const [, dashboard = '', token = ''] = /(http:\/\/127\.0\.0\.1:\d+\/)#token=(\S+)/.exec(screen) ?? [];
    assert.match(await (await fetch(dashboard)).text(), /<title>Hipache<\/title>/);
    assert.match(await (await fetch(`${dashboard}help/`)).text(), /<h1>Hipache<\/h1>/);
    const routes = await fetch(`${dashboard}v1/routes`, { headers: { authorization: `Bearer ${token}` } });
    assert.match(await routes.text(), /demo\.localhost/);

    press('k');
    let others = 0;
    await until('only the other application', async () => {
      others = (await asked()) === 'green' ? others + 1 : 0;
      return others === 12;
    });
    press('k');
    await until('the application to be back', () => /blue[^\n]*(back|again)/.test(screen));

    const commands = [...screen.matchAll(/^\s+(\/\S*\/bin\/hipache .*?)\r?$/gm)].map(
      ([, command]) => command as string,
    );
    assert.ok(commands.length >= 3, screen);
    for (const command of commands) await promisify(execFile)('sh', ['-c', command]);
    await until('the host that was added', async () => (await ask(port(), 'hello.localhost')).status === 200);

    const store = /sqlite:(\S+)/.exec(screen)?.[1] as string;
    assert.ok(existsSync(store));
    const ended = new Promise((resolve) => terminal.once('close', resolve));
    press('\u0003');
    assert.equal(await ended, 0);
    assert.equal(existsSync(dirname(store)), false);
    await assert.rejects(ask(port(), 'demo.localhost'));
  });
});
