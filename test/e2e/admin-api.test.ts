import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { Agent, createServer, type IncomingMessage, request } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { AdminClient } from '../../src/admin/admin-client.ts';
import { makeAdminToken } from '../../src/operations/admin-token.ts';
import type { ResultOf } from '../../src/operations/catalogue.ts';
import { Authority } from '../helpers/authority.ts';
import { freePort } from '../helpers/free-port.ts';
import { HipacheHome, type HipacheProcess, program, runHipache } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { ask } from '../helpers/http-client.ts';
import { until } from '../helpers/until.ts';
import { adminPid, isRunning } from '../helpers/workers.ts';

const execute = promisify(execFile);

/** A window of the load. */
type Load = ResultOf<'showLoad'>['windows'][number];

describe('the admin API of an instance', () => {
  let home: HipacheHome;
  let backend: HttpBackend;
  let address: string;

  beforeEach(async () => {
    home = new HipacheHome();
    backend = await HttpBackend.start('app');
    address = `unix:${home.path('run/admin.sock')}`;
    home.configure({ admin: { bind: address } }, { workers: 1 });
  });

  afterEach(async () => {
    await home.remove();
    await backend.stop();
  });

  async function serve(): Promise<HipacheProcess> {
    const proxy = await home.serve();
    await until('the admin API', () => proxy.output.includes('admin API on '));
    return proxy;
  }

  /** The process of the API. */
  async function processOf({ pid }: HipacheProcess): Promise<number> {
    await until('the process of the admin API', () => adminPid(pid) !== null);
    return adminPid(pid) as number;
  }

  const command = (...args: readonly string[]) => runHipache(['--admin', address, ...args]);

  it('is on a socket for its user and group, and costs nothing until somebody comes', async () => {
    const proxy = await serve();
    assert.equal(statSync(home.path('run/admin.sock')).mode & 0o777, 0o660);
    assert.equal(adminPid(proxy.pid), null);
    const set = await command('route', 'set', 'a.test', backend.url, '--wait=20');
    assert.match(set.stdout, /route created, .*live on 1 instance, 1 worker/);
    assert.equal((await ask(proxy.port, 'a.test')).body, 'app');
    const explained = await command('explain', 'a.test', '--live', '--json');
    assert.equal(JSON.parse(explained.stdout).live[0].worker, 1);
    assert.ok(await processOf(proxy));
    proxy.signal('SIGTERM');
    assert.equal(await proxy.ended(), 0);
    assert.equal(existsSync(home.path('run/admin.sock')), false);
  });

  it('comes back for the next client when its process is killed, and no request notices', async () => {
    const proxy = await serve();
    await command('route', 'set', 'a.test', backend.url, '--wait=20');
    for (let i = 0; i < 2; i++) {
      process.kill(await processOf(proxy), 'SIGKILL');
      assert.equal((await ask(proxy.port, 'a.test')).body, 'app');
      await until('the API again', () => existsSync(home.path('run/admin.sock')));
      const api = new AdminClient(address, null);
      await until('an answer', () =>
        api.perform('listRoutes', {}).then(
          ({ routes }) => routes.length === 1,
          () => false,
        ),
      );
    }
    assert.match(proxy.output, /the process of the admin API has ended: SIGKILL; the next client gets another one/);
  });

  it('may hang: requests go on, and its process is killed', async () => {
    const proxy = await serve();
    await command('route', 'set', 'a.test', backend.url, '--wait=20');
    const hung = await processOf(proxy);
    process.kill(hung, 'SIGSTOP');
    const late = new AdminClient(address, null).perform('listRoutes', {}).catch((error: Error) => error);
    assert.equal((await ask(proxy.port, 'a.test')).body, 'app');
    await until('the end of the process', () => !isRunning(hung), 60_000);
    assert.ok((await late) instanceof Error);
    await until('the API again', () => proxy.output.includes('the next client gets another one'));
    await until('an answer', async () => (await command('route', 'list')).code === 0);
  });

  it('does not prevent a start, and replaces nothing but a socket', async () => {
    writeFileSync(home.path('precious'), 'data');
    mkdirSync(home.path('directory'));
    for (const name of ['precious', 'directory', 'precious/admin.sock']) {
      home.configure({ admin: { bind: `unix:${home.path(name)}` } }, { workers: 1, drainSeconds: 1 });
      const proxy = await home.serve();
      await until('the warning', () =>
        proxy.output.includes(`no admin API: cannot listen on unix:${home.path(name)}: `),
      );
      assert.equal((await ask(proxy.port, 'none.test')).status, 400);
      proxy.signal('SIGTERM');
      assert.equal(await proxy.ended(), 0);
    }
    assert.equal(home.read('precious'), 'data');
    assert.deepEqual(
      readdirSync(home.directory).filter((name) => /\.\d+$/.test(name)),
      [],
    );
  });

  it('lets a deploy finish in a reload, and nobody else stay', async () => {
    const [kept, gone] = [makeAdminToken('kept', 'write'), makeAdminToken('gone', 'write')];
    const bind = `127.0.0.1:${await freePort()}`;
    home.configure({ admin: { bind, tokens: [kept.entry, gone.entry] } }, { workers: 1 });
    const proxy = await serve();
    const slow = createServer((_asked, response) => void setTimeout(() => response.end(), 3000)).listen(0, '127.0.0.1');
    await once(slow, 'listening');
    try {
      const url = `http://127.0.0.1:${(slow.address() as AddressInfo).port}`;
      // The first client, which the primary hands over.
      const steps: unknown[] = [];
      const api = new AdminClient(`http://${bind}`, kept.token);
      const deployed = api.perform('deploy', { host: 'a.test', backends: [url] }, (step) => void steps.push(step));
      await until('the process', () => adminPid(proxy.pid) !== null);
      const former = adminPid(proxy.pid) as number;
      const [host, port] = bind.split(':');
      const half = connect(Number(port), host).on('error', () => {});
      half.write('GET /v1/routes HTTP/1.1\r\nHost: ');
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      const ofGone = async (): Promise<number> => {
        const headers = { authorization: `Bearer ${gone.token}` };
        const asked = request(`http://${bind}/v1/option-names`, { agent, headers }).end();
        const [response] = (await once(asked, 'response')) as [IncomingMessage];
        await response.resume().toArray();
        return response.statusCode ?? 0;
      };
      assert.equal(await ofGone(), 200);
      home.configure({ admin: { bind, tokens: [kept.entry] } }, { workers: 1 });
      proxy.signal('SIGHUP');
      await until('the reload', () => proxy.output.includes('the new configuration is in use'));
      await until('the refusal of the token that has gone', () =>
        ofGone().then(
          (status) => status === 401,
          () => false,
        ),
      );
      assert.equal((await deployed).action, 'deployed');
      await until('the end of the former process', () => !isRunning(former));
      agent.destroy();
      half.destroy();
    } finally {
      slow.close();
    }
  });

  it('may be flooded: no request fails', async () => {
    const proxy = await serve();
    await command('route', 'set', 'a.test', backend.url, '--wait=20');
    const clients = Array.from({ length: 300 }, (_, i) => {
      const socket = connect(home.path('run/admin.sock')).on('error', () => {});
      // Some say nothing, others are slow, and others send rubbish.
      if (i % 3 === 1) socket.write('POST /v1/changes HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n{');
      if (i % 3 === 2) socket.write('\0'.repeat(100_000));
      return socket;
    });
    for (let i = 0; i < 200; i++) assert.equal((await ask(proxy.port, 'a.test')).status, 200);
    for (const client of clients) client.destroy();
    await until('an answer', async () => (await command('route', 'list')).code === 0);
  });

  it('shows the traffic of hosts and backends, once or on a terminal', async () => {
    const proxy = await serve();
    await command('route', 'set', 'a.test', backend.url, '--wait=20');
    for (let i = 0; i < 30; i++) await ask(proxy.port, 'a.test');
    await ask(proxy.port, 'none.test');
    const host = async () => JSON.parse((await home.run('stats', 'a.test', '--json')).stdout);
    await until('the end of a window', async () => (await host()).host.requestsPerSecond > 0);
    const { backends, host: counted } = await host();
    assert.deepEqual(
      [counted.requests, counted.errors, backends[0].name, backends[0].requests],
      [30, 0, backend.url, 30],
    );
    assert.ok(counted.p50Ms > 0 && counted.p99Ms >= counted.p50Ms);
    const { windows } = JSON.parse((await home.run('stats', '--json')).stdout);
    assert.equal(
      windows.reduce((sum: number, { classes, seconds }: Load) => sum + Math.round((classes['2xx'] ?? 0) * seconds), 0),
      30,
    );
    assert.match((await command('stats')).stdout, /^until +req\/s .*\n\d{4}-.* 1\n/);
    const { stdout } = await command('top');
    assert.match(stdout, /^req\/s +err\/s +p50 .*\n.* 31 .* \(all\)\n.* 30 .* a\.test\n1 worker, counting since /);
    const terminal = spawn('script', ['-qec', `${program} --admin ${address} top --sort requests`, '/dev/null'], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, TERM: 'xterm' },
    });
    let screen = '';
    terminal.stdout.on('data', (bytes: Buffer) => {
      screen += bytes.toString('latin1');
    });
    await until('the table', () => /\[t requests\].*a\.test/s.test(screen));
    terminal.stdin.write('e');
    await until('the other order', () => screen.includes('[e errors]'));
    terminal.stdin.write('q');
    const [code] = await once(terminal, 'close');
    assert.equal(code, 0);
    assert.ok(screen.startsWith('\x1b[?1049h') && screen.endsWith('\x1b[?1049l'), 'the screen is as it was');
  });

  it('follows a reload, and an upgrade', async () => {
    const proxy = await serve();
    const { entry, token } = makeAdminToken('panel', 'write');
    const port = await freePort();
    home.configure({ admin: { bind: `127.0.0.1:${port}`, tokens: [entry] } }, { workers: 1 });
    proxy.signal('SIGHUP');
    await until('the new address', () => proxy.output.includes(`admin API on 127.0.0.1:${port}`));
    assert.equal(existsSync(home.path('run/admin.sock')), false);
    const api = new AdminClient(`http://127.0.0.1:${port}`, token);
    assert.deepEqual((await api.perform('listRoutes', {})).routes, []);
    await assert.rejects(new AdminClient(`http://127.0.0.1:${port}`, null).perform('listRoutes', {}), /has no token/);
    const next = await proxy.upgrade();
    await until('the API of the new program', () =>
      api.perform('listRoutes', {}).then(
        () => adminPid(next) !== null,
        () => false,
      ),
    );
  });

  it('is served over https, to clients with a certificate or a token', async (t) => {
    const authority = new Authority('admins');
    t.after(() => authority.dispose());
    const { certificateFile: cert, keyFile: key } = authority.issue(['127.0.0.1', 'admin.test']);
    const clientCa = authority.certificateFile;
    const port = await freePort();
    const { entry, token } = makeAdminToken('panel', 'read');
    home.configure({ admin: { bind: `127.0.0.1:${port}`, cert, key, clientCa, tokens: [entry] } }, { workers: 1 });
    await serve();
    const url = `https://127.0.0.1:${port}/v1/routes/a.test`;
    const asked = async (...args: readonly string[]) =>
      (await execute('curl', ['-sS', '--cacert', clientCa, ...args, url])).stdout;
    assert.match(await asked(), /"code":"UNAUTHORIZED"/);
    assert.match(await asked('-H', `authorization: Bearer ${token}`), /"code":"NOT_FOUND"/);
    const change = ['-X', 'PUT', '-H', 'content-type: application/json', '-d', '{"backends":["http://x"]}'];
    assert.match(await asked(...change, '-H', `authorization: Bearer ${token}`), /"code":"FORBIDDEN"/);
    const client = authority.issue(['someone']);
    const shown = ['--cert', client.certificateFile, '--key', client.keyFile];
    assert.match(await asked(...change, ...shown), /"action":"created"/);
  });

  it('is on by default, unless the configuration is one of Hipache 0.4', async () => {
    home.configure({ limits: {} }, { workers: 1 });
    const proxy = await home.serve();
    await until('the end of the start', () => proxy.output.includes('listening on '));
    assert.doesNotMatch(proxy.output, /admin API on/);
    home.configure({ limits: { connectionsMax: 1000 } }, { workers: 1 });
    proxy.signal('SIGHUP');
    await until('the admin API', () => proxy.output.includes(`admin API on ${address}`));
  });

  it('waits where another instance has the socket, and is off where the configuration says so', async () => {
    const first = await serve();
    const second = new HipacheHome();
    try {
      second.configure({ admin: { bind: address } }, { workers: 1 });
      const proxy = await second.serve();
      await until('the warning', () => proxy.output.includes('another program listens there; set admin.bind'));
      assert.equal(adminPid(first.pid), null, 'it was no client');
      first.signal('SIGTERM');
      await first.ended();
      await until('the API of the other', () => proxy.output.includes('admin API on '));
      second.configure({ admin: { bind: null } }, { workers: 1 });
      proxy.signal('SIGHUP');
      await until('the reload', () => proxy.output.includes('the new configuration is in use'));
      assert.equal(existsSync(home.path('run/admin.sock')), false);
    } finally {
      await second.remove();
    }
  });
});
