import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { delimiter } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { findProgram } from '../../scripts/servers.ts';
import { freePort } from '../helpers/free-port.ts';
import { HipacheHome, program } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { ask } from '../helpers/http-client.ts';
import { until } from '../helpers/until.ts';
import { isRunning, workerPids } from '../helpers/workers.ts';

describe('a service of systemd', () => {
  let home: HipacheHome;
  let backend: HttpBackend;

  beforeEach(async () => {
    home = new HipacheHome();
    backend = await HttpBackend.start('one');
    home.configure({}, { workers: 2 });
    await home.route('set', 'a.example', backend.url);
  });

  afterEach(async () => {
    await home.remove();
    await backend.stop();
  });

  /** The environment of a unit with Type=notify, and a program in the place of systemd-notify that writes its calls. */
  function notifying(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
    writeFileSync(home.path('systemd-notify'), `#!/bin/sh\necho "$*" >> '${home.path('calls')}'\n`, { mode: 0o755 });
    const path = [home.directory, process.env['PATH']].join(delimiter);
    return { ...process.env, PATH: path, NOTIFY_SOCKET: '/nowhere', ...more };
  }

  function calls(): string[] {
    return existsSync(home.path('calls')) ? home.read('calls').split('\n').slice(0, -1) : [];
  }

  it('tells when it serves, reloads and stops', async () => {
    const proxy = home.start([], undefined, undefined, notifying());
    await proxy.listening();
    assert.deepEqual(calls(), [`READY=1 MAINPID=${proxy.pid}`]);
    proxy.signal('SIGHUP');
    await until('the end of the reload', () => calls().length === 3);
    assert.match(calls()[1] ?? '', /^RELOADING=1 MONOTONIC_USEC=\d+$/);
    assert.equal(calls()[2], `READY=1 MAINPID=${proxy.pid}`);
    proxy.signal('SIGTERM');
    assert.equal(await proxy.ended(), 0);
    assert.deepEqual(calls().slice(3), ['STOPPING=1']);
  });

  it('tells which process is the main one after an upgrade, and nothing of the end of the former one', async () => {
    const proxy = home.start([], undefined, undefined, notifying());
    await proxy.listening();
    const pid = await proxy.upgrade();
    await until('the end of the former one', () => !isRunning(proxy.pid));
    assert.deepEqual(calls(), [`READY=1 MAINPID=${proxy.pid}`, `READY=1 MAINPID=${pid}`]);
  });

  it('gives up an upgrade of which systemd cannot be notified', async () => {
    const proxy = home.start([], undefined, undefined, notifying());
    await proxy.listening();
    writeFileSync(home.path('systemd-notify'), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
    proxy.signal('SIGUSR2');
    await until('the log to say so', () => proxy.output.includes('nothing is changed'));
    assert.match(proxy.output, /systemd could not be notified of the new process/);
    assert.equal((await ask(proxy.port, 'a.example')).body, 'one');
  });

  it('refuses an upgrade that systemd would take for the end of the service', async () => {
    // The shell's own number is that of the program that it becomes.
    writeFileSync(home.path('start'), `#!/bin/sh\nexport SYSTEMD_EXEC_PID=$$\nexec '${program}' "$@"\n`, {
      mode: 0o755,
    });
    const { NOTIFY_SOCKET, ...env } = process.env;
    const proxy = home.start([], undefined, home.path('start'), env);
    await proxy.listening();
    proxy.signal('SIGUSR2');
    await until('the log to say so', () => proxy.output.includes('needs Type=notify and NotifyAccess=all'));
    assert.equal(NOTIFY_SOCKET, undefined);
    assert.equal((await ask(proxy.port, 'a.example')).body, 'one');
  });

  it('shows the watchdog that it lives', async () => {
    const proxy = home.start([], undefined, undefined, notifying({ WATCHDOG_USEC: '200000' }));
    await proxy.listening();
    await until('several signs of life', () => calls().filter((call) => call === 'WATCHDOG=1').length >= 3);
  });

  it('serves from the sockets that systemd holds, with all its workers, and binds the others', async (t) => {
    const activate = findProgram('systemd-socket-activate');
    if (activate === null) {
      t.skip('systemd-socket-activate is not installed');
      return;
    }
    const [given, other, alien, wide] = [await freePort(), await freePort(), await freePort(), await freePort()];
    const bind = [
      ...[given, other].map((port) => ({ address: '127.0.0.1', port })),
      { address: '0.0.0.0', port: wide },
    ];
    home.configure({ http: { bind } }, { workers: 3 });
    const addresses = [`127.0.0.1:${given}`, `127.0.0.1:${alien}`, `[::]:${wide}`];
    const listen = addresses.flatMap((address) => ['--listen', address]);
    const proxy = home.start([], undefined, activate, undefined, [...listen, program]);
    await until('systemd to listen', () => proxy.output.includes('Listening on'));
    // systemd starts the service for this request, which then waits in the queue of the socket.
    assert.equal((await ask(given, 'a.example')).body, 'one');
    await until('all workers', () => workerPids(proxy.pid).length === 3);
    await until('the other address', async () => (await ask(other, 'a.example').catch(() => null))?.body === 'one');
    for (let count = 0; count < 20; count++) assert.equal((await ask(given, 'a.example')).body, 'one');
    assert.equal((await ask(wide, 'a.example')).body, 'one');
    assert.match(proxy.output, new RegExp(`an inherited socket fits no configured address: 127.0.0.1 port ${alien}`));
    // All workers accept before the primary says so, and takes orders.
    await until('the start', () => proxy.output.includes('listening on http'));
    await proxy.upgrade();
    await until('the end of the former one', () => !isRunning(proxy.pid));
    for (let count = 0; count < 20; count++) assert.equal((await ask(given, 'a.example')).body, 'one');
  });
});
