import assert from 'node:assert/strict';
import { chownSync, readFileSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { freePort } from '../helpers/free-port.ts';
import { HipacheHome } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { ask } from '../helpers/http-client.ts';
import { RawClient } from '../helpers/raw-client.ts';
import { until } from '../helpers/until.ts';
import { isRunning, userOf, workerPids } from '../helpers/workers.ts';

describe('several workers', () => {
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

  it('serve, each in its own process', async () => {
    const proxy = await home.serve();
    assert.equal(workerPids(proxy.pid).length, 2);
    for (let count = 0; count < 20; count++) assert.equal((await ask(proxy.port, 'a.example')).body, 'one');
    proxy.signal('SIGTERM');
    assert.equal(await proxy.ended(), 0);
  });

  it('are as many as there are CPUs unless configured', async () => {
    home.configure({}, {});
    const proxy = await home.serve();
    const cpus = /Cpus_allowed_list:\s+(.*)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '';
    const allowed = cpus.split(',').reduce((sum, range) => {
      const [first, last = first] = range.split('-').map(Number) as [number, number?];
      return sum + last - first + 1;
    }, 0);
    const { length } = workerPids(proxy.pid);
    assert.ok(length >= 1 && length <= allowed, `${length} workers on ${allowed} CPUs`);
    assert.match(proxy.output, new RegExp(`serving workers=${length} store=`));
  });

  it('continue when one of them is killed, which is then replaced', async () => {
    const proxy = await home.serve();
    const waiting: (() => void)[] = [];
    const slow = await HttpBackend.start('slow', (_, response) => void waiting.push(() => response.end('late')));
    await home.route('set', 'slow.example', slow.url);
    const responses = Array.from({ length: 24 }, () =>
      ask(proxy.port, 'slow.example').then(({ body }) => body, String),
    );
    await until('all requests at the backend', () => slow.requests === 24);
    const [victim = 0, other] = workerPids(proxy.pid);
    process.kill(victim, 'SIGKILL');
    // The other worker loses nothing, and new clients are served as well.
    for (let count = 0; count < 40; count++) assert.equal((await ask(proxy.port, 'a.example')).body, 'one');
    for (const release of waiting) release();
    const ended = await Promise.all(responses);
    assert.ok(ended.includes('late'), ended.join());
    await until('the replacement', () => workerPids(proxy.pid).length === 2);
    assert.ok(workerPids(proxy.pid).includes(other as number));
    assert.match(proxy.output, /a worker has died.* worker=\d pid=\d+ signal=SIGKILL/);
    await slow.stop();
  });

  it('that die at once are restarted after growing pauses, and others accept for them', async () => {
    const proxy = await home.serve();
    const [steady] = workerPids(proxy.pid);
    const deaths = (): number[] =>
      [...proxy.output.matchAll(/after a pause .* afterMs=(\d+)/g)].map(([, ms]) => Number(ms));
    for (let count = 1; count <= 4; count++) {
      await until('a worker to kill', () => workerPids(proxy.pid).some((pid) => pid !== steady));
      for (const pid of workerPids(proxy.pid)) if (pid !== steady) process.kill(pid, 'SIGKILL');
      await until('the log to say so', () => deaths().length >= count);
      for (let request = 0; request < 10; request++) assert.equal((await ask(proxy.port, 'a.example')).body, 'one');
    }
    const [first = 0, , , fourth = 0] = deaths();
    assert.ok(first >= 250 && first <= 500, `${first} ms`);
    assert.ok(fourth >= 2000 && fourth <= 4000, `${fourth} ms`);
  });

  it('are replaced when they hang', async () => {
    home.configure({}, { workers: 2, workerStuckSeconds: 2 });
    const proxy = await home.serve();
    const [stuck = 0] = workerPids(proxy.pid);
    process.kill(stuck, 'SIGSTOP');
    await until('its end', () => !isRunning(stuck));
    await until('its replacement', () => workerPids(proxy.pid).length === 2);
    assert.match(proxy.output, /a worker did not respond and was killed/);
    assert.equal((await ask(proxy.port, 'a.example')).body, 'one');
  });

  it('finish what is in progress and exit when their primary is killed', async () => {
    let release = (): void => {};
    const slow = await HttpBackend.start('slow', (_, response) => {
      release = () => response.end('late');
    });
    await home.route('set', 'slow.example', slow.url);
    const proxy = await home.serve();
    const { port } = proxy;
    const response = ask(port, 'slow.example');
    await until('the request at the backend', () => slow.requests === 1);
    const workers = workerPids(proxy.pid);
    process.kill(proxy.pid, 'SIGKILL');
    await until('an end of accepting', () =>
      ask(port, 'a.example').then(
        () => false,
        () => true,
      ),
    );
    release();
    assert.equal((await response).body, 'late');
    for (const pid of workers) await until('the end of a worker', () => !isRunning(pid));
    await slow.stop();
  });

  it('finish a request and an upload after SIGTERM', async () => {
    const proxy = await home.serve();
    const upload = await RawClient.connect(proxy.port);
    upload.send('POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\nhello');
    await until('the upload at the backend', () => backend.requests === 1);
    proxy.signal('SIGTERM');
    await until('the log to say so', () => proxy.output.includes('SIGTERM'));
    upload.send('world');
    await upload.expect(/200 OK[\s\S]*one$/);
    upload.close();
    assert.equal(await proxy.ended(), 0);
    assert.deepEqual(workerPids(proxy.pid), []);
  });

  it('exit at once on a second SIGTERM', async () => {
    const stuck = await HttpBackend.start('stuck', () => {});
    await home.route('set', 'stuck.example', stuck.url);
    const proxy = await home.serve();
    const response = ask(proxy.port, 'stuck.example').catch((error: Error) => error);
    await until('the request at the backend', () => stuck.requests === 1);
    const workers = workerPids(proxy.pid);
    proxy.signal('SIGTERM');
    await until('the log to say so', () => proxy.output.includes('SIGTERM'));
    proxy.signal('SIGTERM');
    assert.equal(await proxy.ended(), 143);
    for (const pid of workers) await until('the end of a worker', () => !isRunning(pid));
    assert.ok((await response) instanceof Error);
    await stuck.stop();
  });

  it('ignore every signal that is meant for the primary', async () => {
    const proxy = await home.serve();
    const upload = await RawClient.connect(proxy.port);
    upload.send('POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\nhello');
    await until('the upload at the backend', () => backend.requests === 1);
    const workers = workerPids(proxy.pid);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const) {
      for (const pid of workers) process.kill(pid, signal);
      for (let count = 0; count < 10; count++) assert.equal((await ask(proxy.port, 'a.example')).body, 'one');
    }
    upload.send('world');
    await upload.expect(/200 OK[\s\S]*one$/);
    upload.close();
    assert.deepEqual(workerPids(proxy.pid), workers);
    assert.doesNotMatch(proxy.output, /a worker has died|Debugger/);
  });

  it('are replaced for their memory without interrupting an upload', async () => {
    home.configure({ limits: { workerMemoryBytesMax: 1_000_000 } }, { workers: 1, memoryCheckSeconds: 5 });
    const proxy = await home.serve();
    const [before] = workerPids(proxy.pid);
    const upload = await RawClient.connect(proxy.port);
    upload.send('POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\nhello');
    await until('the upload at the backend', () => backend.requests === 1);
    assert.doesNotMatch(proxy.output, /a worker was replaced/);
    await until('the replacement', () => /a worker was replaced .*reason=memory/.test(proxy.output));
    assert.ok(isRunning(before as number));
    assert.equal((await ask(proxy.port, 'a.example')).body, 'one');
    upload.send('world');
    await upload.expect(/200 OK[\s\S]*one$/);
    upload.close();
    await until('the end of the old one', () => !isRunning(before as number));
  });

  it('run as the configured user, and so do their replacements', async (t) => {
    if (process.getuid?.() !== 0) {
      t.skip('only root can change its user');
      return;
    }
    const nobody = Number(/^nobody:[^:]*:(\d+):/m.exec(readFileSync('/etc/passwd', 'utf8'))?.[1]);
    home.configure({ user: 'nobody' }, { workers: 2 });
    chownSync(home.directory, nobody, nobody);
    const proxy = await home.serve();
    const before = workerPids(proxy.pid);
    for (const pid of [proxy.pid, ...before]) assert.equal(userOf(pid), nobody);
    process.kill(before[0] as number, 'SIGKILL');
    await until('the replacement', () => workerPids(proxy.pid).some((pid) => !before.includes(pid)));
    await until('two workers', () => workerPids(proxy.pid).length === 2);
    for (const pid of workerPids(proxy.pid)) assert.equal(userOf(pid), nobody);
  });

  it('listen on a port that only root may bind', async (t) => {
    if (process.getuid?.() !== 0) {
      t.skip('only root can bind it');
      return;
    }
    const nobody = Number(/^nobody:[^:]*:(\d+):/m.exec(readFileSync('/etc/passwd', 'utf8'))?.[1]);
    const port = await freePort(600);
    home.configure({ user: 'nobody', http: { bind: [{ address: '127.0.0.1', port }] } }, { workers: 2 });
    chownSync(home.directory, nobody, nobody);
    await home.serve();
    assert.equal((await ask(port, 'a.example')).body, 'one');
  });

  it('report why they cannot start, and the program exits with 1', async () => {
    const port = await freePort();
    writeFileSync(home.path('pages'), 'no directory');
    home.configure({ http: { bind: [{ address: '127.0.0.1', port }] } }, { workers: 2, staticDir: home.path('pages') });
    const { code, stdout } = await home.run();
    assert.equal(code, 1);
    assert.match(stdout, /server\.staticDir/);
  });
});
