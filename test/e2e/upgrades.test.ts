import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { freePort } from '../helpers/free-port.ts';
import { HipacheHome, program } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { ask } from '../helpers/http-client.ts';
import { RawClient } from '../helpers/raw-client.ts';
import { until } from '../helpers/until.ts';
import { isRunning, workerPids } from '../helpers/workers.ts';

describe('an upgrade', () => {
  let home: HipacheHome;
  let backend: HttpBackend;

  beforeEach(async () => {
    home = new HipacheHome();
    backend = await HttpBackend.start('one');
    configure();
    await home.route('set', 'a.example', backend.url);
  });

  afterEach(async () => {
    await home.remove();
    await backend.stop();
  });

  function configure(
    config: Readonly<Record<string, unknown>> = {},
    server: Readonly<Record<string, unknown>> = {},
  ): void {
    // An upload lasts as long as the upgrades beside it.
    const limits = { bodyGraceSeconds: 600 };
    home.configure({ limits, ...config }, { workers: 2, pidFile: home.path('pid'), ...server });
  }

  async function upload(port: number): Promise<RawClient> {
    const client = await RawClient.connect(port);
    client.send('POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\nhello');
    await until('the upload at the backend', () => backend.requests === 1);
    return client;
  }

  it('starts another primary on the same ports, reports it, and ends the former one', async () => {
    const metrics = await freePort();
    configure({ metrics: { port: metrics } });
    const proxy = await home.serve();
    assert.equal(home.read('pid'), `${proxy.pid}\n`);
    const { code, stdout, stderr } = await home.run('upgrade', '--json');
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    const { former, pid } = JSON.parse(stdout) as { former: number; pid: number };
    assert.deepEqual([former, pid], proxy.primaries);
    assert.equal(home.read('pid'), `${pid}\n`);
    await until('the end of the former one', () => !isRunning(proxy.pid));
    assert.equal(workerPids(pid).length, 2);
    assert.equal((await ask(proxy.port, 'a.example')).body, 'one');
    assert.equal((await ask(metrics, 'localhost', { path: '/healthz' })).status, 200);
    process.kill(pid, 'SIGTERM');
    await proxy.ended();
    assert.equal(existsSync(home.path('pid')), false);
  });

  it('starts the program to which the link leads by then', async () => {
    symlinkSync(program, home.path('hipache'));
    const proxy = await home.serve(undefined, home.path('hipache'));
    unlinkSync(home.path('hipache'));
    writeFileSync(home.path('hipache'), `#!/bin/sh\necho 'another version'\nexec '${program}' "$@"\n`, { mode: 0o755 });
    await proxy.upgrade();
    assert.match(proxy.output, /another version/);
    assert.equal((await ask(proxy.port, 'a.example')).body, 'one');
  });

  it('changes nothing if the new program does not start, and says so', async () => {
    const proxy = await home.serve();
    const before = workerPids(proxy.pid);
    writeFileSync(home.path('file'), '');
    configure({}, { staticDir: home.path('file') });
    const { code, stderr } = await home.run('upgrade');
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`process ${proxy.pid} goes on, and nothing is changed`));
    // The command may learn of it before this process has read the log.
    const problem = /server\.staticDir[\s\S]*nothing is changed: the new program does not serve: .*exit code 1/;
    await until('the reason in the log', () => problem.test(proxy.output));
    assert.deepEqual(
      workerPids(proxy.pid).filter((pid) => before.includes(pid)),
      before,
    );
    assert.equal((await ask(proxy.port, 'a.example')).body, 'one');
    configure();
    await proxy.upgrade();
    assert.equal((await ask(proxy.port, 'a.example')).body, 'one');
  });

  it('follows a changed configuration: addresses that are gone are closed, new ones are bound', async () => {
    const [one, two, three] = [await freePort(), await freePort(), await freePort()];
    const bind = (...ports: number[]) => ({ http: { bind: ports.map((port) => ({ address: '127.0.0.1', port })) } });
    configure(bind(one, two));
    const proxy = await home.serve();
    configure(bind(two, three), { workers: 3 });
    const pid = await proxy.upgrade();
    assert.equal(workerPids(pid).length, 3);
    for (let count = 0; count < 10; count++) {
      assert.equal((await ask(two, 'a.example')).body, 'one');
      assert.equal((await ask(three, 'a.example')).body, 'one');
    }
    await until('the end of the first address', () =>
      ask(one, 'a.example').then(
        () => false,
        ({ code }) => code === 'ECONNREFUSED',
      ),
    );
  });

  it('cuts no request of the former program, however long it takes', async () => {
    configure({}, { drainSeconds: 0.2 });
    const proxy = await home.serve();
    const client = await upload(proxy.port);
    await proxy.upgrade();
    // The new primary is a child of the former one.
    const workers = (): number[] => workerPids(proxy.pid).filter((pid) => !proxy.primaries.includes(pid));
    await until('the end of the worker without a request', () => workers().length === 1);
    client.send('world');
    await client.expect(/200 OK[\s\S]*Connection: close[\s\S]*one$/);
    client.close();
    await until('the end of the former program', () => !isRunning(proxy.pid));
  });

  it('several times, and a SIGTERM to the last one ends all of them', async () => {
    configure({}, { drainSeconds: 1 });
    const proxy = await home.serve();
    const client = await upload(proxy.port);
    await proxy.upgrade();
    const last = await proxy.upgrade();
    assert.equal(proxy.primaries.length, 3);
    assert.ok(isRunning(proxy.pid));
    process.kill(last, 'SIGTERM');
    await client.untilEnded();
    client.close();
    await proxy.ended();
    assert.match(proxy.output, /did not finish in time/);
  });

  it('is stopped gently by a SIGTERM to all processes, and at once by a second one', async (t) => {
    configure({}, { drainSeconds: 60 });
    const stuck = await HttpBackend.start('stuck', () => {});
    t.after(() => stuck.stop());
    await home.route('set', 'stuck.example', stuck.url);
    const proxy = await home.serve();
    const client = await upload(proxy.port);
    const never = ask(proxy.port, 'stuck.example').catch((error: Error) => error);
    await until('the request at the backend', () => stuck.requests === 1);
    const last = await proxy.upgrade();
    for (const pid of proxy.primaries) process.kill(pid, 'SIGTERM');
    await until('the end of the new program', () => !isRunning(last));
    client.send('world');
    await client.expect(/200 OK[\s\S]*one$/);
    client.close();
    assert.ok(isRunning(proxy.pid));
    process.kill(proxy.pid, 'SIGTERM');
    await proxy.ended();
    assert.ok((await never) instanceof Error);
  });

  it('that has not finished is given up by a SIGTERM', async () => {
    const proxy = await home.serve();
    // A worker blocks here until somebody reads.
    execFileSync('mkfifo', [home.path('fifo')]);
    configure({}, { accessLog: home.path('fifo') });
    proxy.signal('SIGUSR2');
    await until('the workers of the new program', () => {
      const next = proxy.primaries[1];
      return next !== undefined && workerPids(next).length === 2;
    });
    proxy.signal('SIGTERM');
    await proxy.ended();
    for (const pid of proxy.primaries) assert.ok(!isRunning(pid));
    assert.doesNotMatch(proxy.output, /the new program serves/);
  });

  it('that is requested during a reload follows it', async () => {
    const proxy = await home.serve();
    proxy.signal('SIGHUP');
    // Of two signals that wait, either one may be delivered first.
    await until('the reload', () => proxy.output.includes('SIGHUP: reading the configuration'));
    proxy.signal('SIGUSR2');
    await until('the new program', () => proxy.output.includes('the new program serves'));
    assert.match(
      proxy.output,
      /SIGUSR2: the upgrade begins after [\s\S]*the new configuration is in use[\s\S]*SIGUSR2: starting/,
    );
    assert.equal(home.read('pid'), `${proxy.primaries[1]}\n`);
    assert.equal((await ask(proxy.port, 'a.example')).body, 'one');
  });

  it('passes a SIGHUP on to the new program, and one that fails follows it', async () => {
    const proxy = await home.serve();
    writeFileSync(home.path('file'), '');
    configure({}, { staticDir: home.path('file') });
    proxy.signal('SIGUSR2');
    await until('the start of the new program', () => proxy.primaries.length === 2);
    configure();
    proxy.signal('SIGHUP');
    const done = (): number => proxy.output.split('the new configuration is in use').length - 1;
    await until('the reload', () => done() === 1);
    proxy.signal('SIGUSR2');
    await until('the start of the next program', () => proxy.output.split('SIGUSR2: starting').length > 2);
    proxy.signal('SIGHUP');
    await until('its reload', () => done() === 2);
    assert.match(proxy.output, /SIGHUP: passed on to the new program/);
    assert.equal((await ask(proxy.port, 'a.example')).body, 'one');
  });

  it('asks no process that is not a primary of Hipache', async () => {
    const alien = await home.run('upgrade', '--pid', String(process.pid));
    assert.equal(alien.code, 1);
    assert.match(alien.stderr, /is no primary of Hipache/);
    writeFileSync(home.path('pid'), '999999999\n');
    assert.match((await home.run('upgrade')).stderr, /process 999999999 is no primary of Hipache/);
    unlinkSync(home.path('pid'));
    assert.match((await home.run('upgrade')).stderr, /names no process/);
    configure({}, { pidFile: null });
    const nobody = await home.run('upgrade');
    assert.equal(nobody.code, 2);
    assert.match(nobody.stderr, /set server\.pidFile/);
  });

  it('without a file only sends the signal', async () => {
    configure({}, { pidFile: null });
    const proxy = await home.serve();
    const { code, stdout } = await home.run('upgrade', '--pid', String(proxy.pid));
    assert.equal(code, 0);
    assert.match(stdout, /has the signal/);
    await until('the new program', () => proxy.output.includes('the new program serves'));
    assert.equal(readFileSync(`/proc/${proxy.primaries[1]}/cmdline`, 'latin1').includes('--config'), true);
  });
});
