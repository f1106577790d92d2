import assert from 'node:assert/strict';
import {
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { HipacheHome, HipacheProcess, runHipache } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { ask } from '../helpers/http-client.ts';
import { RawClient } from '../helpers/raw-client.ts';
import { until } from '../helpers/until.ts';

describe('a proxy on its embedded store', () => {
  let home: HipacheHome;
  let one: HttpBackend;
  let two: HttpBackend;

  beforeEach(async () => {
    home = new HipacheHome();
    one = await HttpBackend.start('one');
    two = await HttpBackend.start('two');
    home.configure();
  });

  afterEach(async () => {
    await home.remove();
    await one.stop();
    await two.stop();
  });

  it('serves what commands write while it runs: set, add, remove', async () => {
    const { port } = await home.serve();
    assert.equal((await ask(port, 'a.example')).status, 400);
    await home.route('set', 'a.example', one.url);
    await until('the new route', async () => (await ask(port, 'a.example')).body === 'one');
    await home.route('add', 'a.example', two.url);
    await until('the second backend', async () => (await ask(port, 'a.example')).body === 'two');
    await home.route('remove', 'a.example', one.url);
    await until('the first backend to get nothing', async () => {
      const before = one.requests;
      for (let count = 0; count < 8; count++) await ask(port, 'a.example');
      return one.requests === before;
    });
    await home.route('remove', 'a.example');
    await until('no route', async () => (await ask(port, 'a.example')).status === 400);
  });

  it('serves exact names before wildcards, and wildcards before the catch-all', async () => {
    const three = await HttpBackend.start('three');
    await home.route('set', 'a.example', one.url);
    await home.route('set', '*.example', two.url);
    await home.route('set', '*', three.url);
    const { port } = await home.serve();
    assert.equal((await ask(port, 'a.example')).body, 'one');
    assert.equal((await ask(port, 'A.EXAMPLE.:8080')).body, 'one');
    assert.equal((await ask(port, 'b.c.example')).body, 'two');
    assert.equal((await ask(port, 'other.test')).body, 'three');
    assert.equal((await ask(port, '[::1]:80')).body, 'three');
    await three.stop();
  });

  it('skips a backend that has gone, and explain says so', async () => {
    await home.route('set', 'a.example', one.url, two.url);
    const { port } = await home.serve();
    await one.stop();
    for (let count = 0; count < 20; count++) assert.equal((await ask(port, 'a.example')).body, 'two');
    await until('the mark in the store', async () => {
      const { stdout } = await home.run('explain', 'a.example', '--json');
      return stdout.includes('BACKEND_CONNECT_REFUSED');
    });
  });

  it('explain shows what fails on a backend that is not marked: when, what and how often', async () => {
    const bad = await HttpBackend.start('bad', (request, response) => {
      response.writeHead(request.url === '/unavailable' ? 501 : 500).end();
    });
    await home.route('set', 'a.example', bad.url);
    const { port } = await home.serve();
    for (let count = 0; count < 3; count++) assert.equal((await ask(port, 'a.example')).status, 500);
    assert.equal((await ask(port, 'a.example', { path: '/unavailable' })).status, 501);
    let stdout = '';
    await until('the failures in the store', async () => {
      ({ stdout } = await home.run('explain', 'a.example'));
      return stdout.includes('failed 4 times');
    });
    assert.match(stdout, /weight 1 {2}up\n +failed 4 times since \S+, the last time \d+ s ago: status 501, at \S+$/m);
    await bad.stop();
    assert.equal((await ask(port, 'a.example')).status, 502);
    await until('the last failure in the store', async () => {
      ({ stdout } = await home.run('explain', 'a.example'));
      return /failed 5 times.*BACKEND_CONNECT_REFUSED/.test(stdout);
    });
    assert.match(stdout, /BACKEND_CONNECT_REFUSED, at \S+$/m);
  });

  it('keeps its routes, and serves again after kill -9', async () => {
    const first = await home.serve();
    await home.route('set', 'a.example', one.url);
    await first.kill();
    const { port } = await home.serve();
    assert.equal((await ask(port, 'a.example')).body, 'one');
  });

  it('serves what it knows after the store file is deleted', async () => {
    await home.route('set', 'a.example', one.url);
    const { port } = await home.serve();
    assert.equal((await ask(port, 'a.example')).body, 'one');
    for (const suffix of ['', '-wal', '-shm']) rmSync(home.path(`routes.sqlite${suffix}`), { force: true });
    for (let count = 0; count < 10; count++) assert.equal((await ask(port, 'a.example')).body, 'one');
  });

  it('answers an active request after SIGTERM, then exits with 0', async () => {
    let release = (): void => {};
    const slow = await HttpBackend.start('slow', (_, response) => {
      release = () => response.end('late');
    });
    await home.route('set', 'slow.example', slow.url);
    const proxy = await home.serve();
    const response = ask(proxy.port, 'slow.example');
    await until('the request at the backend', () => slow.requests === 1);
    proxy.signal('SIGTERM');
    await until('the log to say so', () => proxy.output.includes('SIGTERM'));
    release();
    assert.equal((await response).body, 'late');
    assert.equal(await proxy.ended(), 0);
    await slow.stop();
  });

  it('exits at once on a second SIGTERM', async () => {
    const stuck = await HttpBackend.start('stuck', () => {});
    await home.route('set', 'stuck.example', stuck.url);
    const proxy = await home.serve();
    const response = ask(proxy.port, 'stuck.example').catch((error: Error) => error);
    await until('the request at the backend', () => stuck.requests === 1);
    proxy.signal('SIGTERM');
    await until('the log to say so', () => proxy.output.includes('SIGTERM'));
    proxy.signal('SIGTERM');
    assert.equal(await proxy.ended(), 143);
    assert.ok((await response) instanceof Error);
    await stuck.stop();
  });

  it('ends and logs a request that outlasts drainSeconds, then exits', async () => {
    home.configure({}, { drainSeconds: 0.3 });
    const stuck = await HttpBackend.start('stuck', () => {});
    await home.route('set', 'stuck.example', stuck.url);
    const proxy = await home.serve();
    const response = ask(proxy.port, 'stuck.example', { path: '/stuck' }).catch((error: Error) => error);
    await until('the request at the backend', () => stuck.requests === 1);
    proxy.signal('SIGTERM');
    assert.equal(await proxy.ended(), 0);
    assert.ok((await response) instanceof Error);
    assert.match(home.read('access.log'), /"GET \/stuck HTTP\/1\.1" 499 /);
    await stuck.stop();
  });

  it("writes the access log in Hipache's format, byte for byte", async () => {
    await home.route('set', 'a.example', one.url, '--id', 'my app');
    const { port } = await home.serve();
    const client = await RawClient.connect(port);
    client.send('GET /a?b=1 HTTP/1.1\r\nHost: a.example\r\nReferer: http://r/\r\nUser-Agent: "quoted" UA\r\n\r\n');
    await client.expect('one');
    const line = await firstLine(home, 'access.log');
    const match =
      /^::ffff:127\.0\.0\.1 - - \[\d{2}\/[A-Z][a-z]{2}\/\d{4}:\d{2}:\d{2}:\d{2} \+0000\] "GET \/a\?b=1 HTTP\/1\.1" 200 (\d+) "http:\/\/r\/" "\\x22quoted\\x22 UA" "my app" (\d+(?:\.\d{1,3})?) (\d+(?:\.\d{1,3})?)$/.exec(
        line,
      );
    assert.ok(match, line);
    assert.equal(Number(match[1]), client.received.length);
    client.close();
  });

  it('writes the access log as JSON lines', async () => {
    home.configure({}, { accessLogFormat: 'json' });
    await home.route('set', 'a.example', one.url);
    const { port } = await home.serve();
    await ask(port, 'a.example', { path: '/x', headers: { 'user-agent': 'b\u00e9' } });
    const line = JSON.parse(await firstLine(home, 'access.log'));
    assert.equal(line.host, 'a.example');
    assert.equal(line.target, '/x');
    assert.equal(line.status, 200);
    assert.equal(line.backend, one.url);
    assert.equal(line.userAgent, 'b\u00e9');
  });

  it('reopens the access log on SIGUSR1', async () => {
    await home.route('set', 'a.example', one.url);
    const proxy = await home.serve();
    await ask(proxy.port, 'a.example', { path: '/before' });
    await firstLine(home, 'access.log');
    renameSync(home.path('access.log'), home.path('access.log.1'));
    proxy.signal('SIGUSR1');
    await until('the new file', () => existsSync(home.path('access.log')));
    await ask(proxy.port, 'a.example', { path: '/after' });
    assert.match(await firstLine(home, 'access.log'), /\/after/);
    assert.match(home.read('access.log.1'), /\/before/);
    assert.doesNotMatch(home.read('access.log.1'), /\/after/);
  });

  it('serves the pages of staticDir, and follows their changes', async () => {
    mkdirSync(home.path('pages'));
    writeFileSync(home.path('pages/error_400.html'), '<p>first</p>');
    home.configure({}, { staticDir: home.path('pages') });
    const { port } = await home.serve();
    assert.equal((await ask(port, 'nobody.example')).body, '<p>first</p>');
    writeFileSync(home.path('pages/error_400.html'), '<p>second</p>');
    await until('the new page', async () => (await ask(port, 'nobody.example')).body === '<p>second</p>');
  });

  it('says which port is in use, and exits with 1', async () => {
    const { port } = await home.serve();
    home.configure({ http: { bind: [{ address: '127.0.0.1', port }] } });
    const second = new HipacheProcess(['--config', home.path('config.json')]);
    assert.equal(await second.ended(), 1);
    assert.match(second.output, new RegExp(`cannot listen on 127\\.0\\.0\\.1:${port}: another program listens there`));
  });

  it('rejects a store file that is not a database, and leaves it unchanged', async () => {
    writeFileSync(home.path('routes.sqlite'), 'precious, but no database'.repeat(100));
    copyFileSync(home.path('routes.sqlite'), home.path('before'));
    const proxy = new HipacheProcess(['--config', home.path('config.json')]);
    assert.equal(await proxy.ended(), 1);
    assert.match(proxy.output, /routes\.sqlite/);
    assert.deepEqual(readFileSync(home.path('routes.sqlite')), readFileSync(home.path('before')));
  });

  it('runs as the configured user once it listens', async () => {
    const user = process.getuid?.() === 0 ? 'nobody' : 'root';
    home.configure({ user });
    if (process.getuid?.() === 0) chownSync(home.directory, await runId('nobody'), 0);
    const proxy = await home.serve();
    await until('the change of user', () => process.getuid?.() !== 0 || proxy.output.includes('running as nobody'));
    const uids = /Uid:\s+(\d+)\s+(\d+)/.exec(readFileSync(`/proc/${proxy.pid}/status`, 'utf8'));
    const expected = process.getuid?.() === 0 ? await runId('nobody') : process.getuid?.();
    assert.equal(Number(uids?.[1]), expected);
    assert.equal(Number(uids?.[2]), expected);
    for (const file of ['access.log', 'routes.sqlite']) assert.equal(statSync(home.path(file)).uid, expected);
  });

  it('names a user that does not exist', async () => {
    home.configure({ user: 'no-such-user-here' });
    const result = await runHipache(['--config', home.path('config.json')], {}).catch(() => null);
    if (process.getuid?.() !== 0) return;
    assert.equal(result?.code, 1);
    assert.match(`${result?.stdout}${result?.stderr}`, /no user "no-such-user-here"/);
  });
});

describe('a proxy without a configuration file', () => {
  it('serves on port 8080 of its own machine, with its logs on standard output', async () => {
    const home = new HipacheHome();
    const env = { ...process.env, XDG_STATE_HOME: home.directory, HOME: home.directory };
    const { stdout } = await runHipache(['--dry'], { env, cwd: home.directory });
    assert.deepEqual(JSON.parse(stdout).http.bind, [
      { address: '127.0.0.1', port: 8080, proxyProtocol: false, halfClose: false, h2c: false },
    ]);
    assert.equal(JSON.parse(stdout).server.accessLog, '-');
    await home.remove();
  });
});

async function firstLine(home: HipacheHome, name: string): Promise<string> {
  await until(`a line in ${name}`, () => existsSync(home.path(name)) && home.read(name).includes('\n'));
  return home.read(name).split('\n')[0] ?? '';
}

async function runId(user: string): Promise<number> {
  const passwd = readFileSync('/etc/passwd', 'utf8');
  return Number(new RegExp(`^${user}:[^:]*:(\\d+):`, 'm').exec(passwd)?.[1]);
}
