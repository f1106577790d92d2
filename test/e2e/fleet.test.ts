import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { afterEach, beforeEach, describe, it, type TestContext } from 'node:test';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { Authority, type Issued } from '../helpers/authority.ts';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { ask, type ClientResponse } from '../helpers/http-client.ts';
import { metricsUrl, scrape } from '../helpers/metrics.ts';
import { RedisServer } from '../helpers/redis-server.ts';
import { socketOwner } from '../helpers/socket-handler.ts';
import { askOn } from '../helpers/steady-load.ts';
import { until } from '../helpers/until.ts';
import { WorkerClients, workerOf } from '../helpers/worker-clients.ts';

interface Instance {
  readonly home: HipacheHome;
  readonly proxy: HipacheProcess;
  readonly clients: WorkerClients;
}

/** A probe that reached a backend: for which host, and from which process. */
interface Probe {
  readonly host: string;
  readonly pid: number | null;
}

describe('a fleet of two instances with two workers each, on one Redis', () => {
  let server: RedisServer;
  let one: HttpBackend;
  let two: HttpBackend;
  let instances: readonly Instance[] = [];

  beforeEach(async () => {
    server = await RedisServer.start();
    one = await HttpBackend.start('one');
    two = await HttpBackend.start('two');
    instances = await Promise.all([startInstance(), startInstance()]);
  });

  afterEach(async () => {
    for (const { home, clients } of instances) {
      clients.close();
      await home.remove();
    }
    instances = [];
    await one.stop();
    await two.stop();
    await server.remove();
  });

  async function startInstance(): Promise<Instance> {
    const home = new HipacheHome();
    home.configure(
      { driver: server.url, https: { bind: [{ address: '127.0.0.1', port: 0 }] }, metrics: { port: 0 } },
      { workers: 2, recoveryProbeSeconds: 0.2, deadBackendTTL: 60 },
    );
    const proxy = await home.serve();
    return { home, proxy, clients: await WorkerClients.connect(proxy, 'nobody.example') };
  }

  async function untilAll(host: string, body: string): Promise<void> {
    for (const { clients } of instances) await clients.untilAll(host, body);
  }

  /** How many requests each worker must get so that both backends get some, except by rare bad luck. */
  const draws = 30;

  async function askAll(host: string): Promise<string[]> {
    const bodies = await Promise.all(
      instances.map(async ({ clients }) => {
        const seen: string[] = [];
        for (let count = 0; count < draws; count++) seen.push(...(await clients.bodies(host)));
        return seen;
      }),
    );
    return bodies.flat();
  }

  async function sum(series: string): Promise<number> {
    const values = await Promise.all(
      instances.map(async ({ proxy }) => (await scrape(metricsUrl(proxy.output))).get(series) ?? Number.NaN),
    );
    return values.reduce((total, value) => total + value, 0);
  }

  /** A backend that fails every request while it is down, and records who probes it. */
  async function flaky(t: TestContext): Promise<{
    url: string;
    state: { down: boolean; failed: number; holds: boolean };
    probes: Probe[];
    held: Socket[];
  }> {
    const state = { down: true, failed: 0, holds: false };
    const held: Socket[] = [];
    const probes: Probe[] = [];
    const backend: HttpBackend = await HttpBackend.start('flaky', (request, response) => {
      const isProbe = /^hipache-probe\//.test(request.headers['user-agent'] ?? '');
      if (isProbe) {
        probes.push({ host: request.headers.host ?? '', pid: senderOf(request) });
      }
      if (!state.down) {
        response.end('back');
        return;
      }
      state.failed++;
      if (state.holds && !isProbe) held.push(request.socket);
      else request.socket.destroy();
    });
    t.after(() => backend.stop());
    return { url: backend.url, state, probes, held };
  }

  function senderOf({ socket }: IncomingMessage): number | null {
    const pids = instances.map(({ proxy }) => proxy.pid);
    return socketOwner(pids, socket.remotePort as number, socket.localPort as number);
  }

  async function explain(host: string): Promise<string> {
    const { stdout } = await (instances[0] as Instance).home.run('explain', host);
    return stdout;
  }

  it('serves in every worker what redis-cli writes, changes and removes', async () => {
    const statusNone = 'HTTP/1.1 400';
    await untilAll('a.example', statusNone);
    await server.cli('rpush', 'frontend:a.example', 'app', one.url);
    await untilAll('a.example', 'one');
    await server.cli('rpush', 'frontend:a.example', two.url);
    await until('both backends', async () => new Set(await askAll('a.example')).size === 2);
    await server.cli('lrem', 'frontend:a.example', '0', one.url);
    await until('the one that is left', async () => new Set(await askAll('a.example')).size === 1);
    await untilAll('a.example', 'two');
    await server.cli('del', 'frontend:a.example');
    await untilAll('a.example', statusNone);
  });

  it('shares the mark of one worker at once, reports it, and lifts it once the backend is back', async (t) => {
    const { url, state, probes } = await flaky(t);
    const messages = subscribe(t);
    await until('the subscription', () => messages().includes('subscribe\ndead\n1\n'));
    await server.cli('rpush', 'frontend:a.example', 'app', url, one.url);
    const [first] = instances[0]?.clients.clients ?? [];
    await until('a mark', async () => {
      assert.match(await askOn(first?.socket as Socket, 'a.example'), /one$/);
      return (await server.cli('hlen', 'down:a.example')) === '1';
    });
    await until('the message', () => messages().includes(`message\ndead\na.example;${url};0;2\n`));
    await until('the mark in every worker', async () => {
      const before = state.failed - probes.length;
      assert.deepEqual(new Set(await askAll('a.example')), new Set(['one']));
      return state.failed - probes.length === before;
    });
    assert.match(await explain('a.example'), /dead until .*BACKEND_RESET, marked by /);
    state.down = false;
    await until('the mark to be lifted', async () => (await server.cli('exists', 'down:a.example')) === '0');
    await until('both backends in use', async () => new Set(await askAll('a.example')).size === 2);
    assert.doesNotMatch(await explain('a.example'), /dead until/);
    assert.ok(probes.length > 0);
    const owner = (instances[0] as Instance).proxy.pid;
    for (const probe of probes) assert.deepEqual(probe, { host: 'a.example', pid: owner });
    assert.match(instances[0]?.proxy.output ?? '', /a backend has recovered host=a\.example/);
    assert.doesNotMatch(instances[1]?.proxy.output ?? '', /a backend has recovered/);
  });

  it('probes from one instance, even if both have marked at the same moment', async (t) => {
    const { url, state, probes, held } = await flaky(t);
    await server.cli('rpush', 'frontend:a.example', 'app', url, one.url);
    state.holds = true;
    const responses: Promise<ClientResponse>[] = [];
    for (const { proxy } of instances) {
      const before = held.length;
      await until('a request of the instance at the backend', async () => {
        let isResponded = false;
        const response = ask(proxy.port, 'a.example').finally(() => {
          isResponded = true;
        });
        responses.push(response);
        await until('it to be answered or queued', () => isResponded || held.length > before);
        return held.length > before;
      });
    }
    state.holds = false;
    for (const socket of held) socket.destroy();
    for (const response of await Promise.all(responses)) assert.equal(response.body, 'one');
    // By now, the later of the two marks has replaced the other.
    await until('the first probes', () => probes.length >= 2);
    const settled = probes.length;
    await until('further probes', () => probes.length >= settled + 4);
    state.down = false;
    await until('the mark to be lifted', async () => (await server.cli('exists', 'down:a.example')) === '0');
    await until('both backends in use', async () => new Set(await askAll('a.example')).size === 2);
    const senders = new Set(probes.slice(settled).map(({ pid }) => pid));
    assert.equal(senders.size, 1, `probed by ${[...senders].join(' and ')}`);
    assert.ok(!senders.has(null));
  });

  it('shows in Redis which instances run, and what each has applied', async () => {
    const records = async (): Promise<string[]> => {
      const keys = await server.cli('keys', 'hipache:instance:*');
      return keys.split('\n').filter((key) => key !== '');
    };
    await until('a record of each', async () => (await records()).length === 2);
    for (const url of [one.url, two.url]) await instances[0]?.home.route('set', 'a.example', url);
    await untilAll('a.example', 'two');
    for (const key of await records()) {
      await until('the revision', async () => (await server.cli('hget', key, 'revision')) === '2');
      assert.equal(await server.cli('hget', key, 'workers'), '2');
      assert.match(await server.cli('hget', key, 'since'), /^20\d\d-.*Z$/);
      const ttl = Number(await server.cli('ttl', key));
      assert.ok(ttl > 0 && ttl <= 30, `${ttl} s`);
    }
    await server.cli('rpush', 'frontend:b.example', 'app', one.url);
    await untilAll('b.example', 'one');
    instances[1]?.proxy.signal('SIGTERM');
    await instances[1]?.proxy.ended();
    assert.equal((await records()).length, 1);
  });

  it('leaves marking to a running checker, and follows its set', async (t) => {
    await server.cli('set', 'hchecker_ping', String(Math.floor(Date.now() / 1000) + 20));
    for (const { proxy } of instances) {
      await until('the checker to be noticed', () => proxy.output.split('an external checker runs').length - 1 >= 2);
    }
    const { url, state, probes } = await flaky(t);
    const messages = subscribe(t);
    await until('the subscription', () => messages().includes('subscribe\ndead\n1\n'));
    await server.cli('rpush', 'frontend:a.example', 'app', one.url, url);
    await until('the message', async () => {
      // Few requests, because the number of retries is limited.
      for (const { clients } of instances) assert.deepEqual(await clients.bodies('a.example'), ['one', 'one']);
      return messages().includes(`message\ndead\na.example;${url};1;2\n`);
    });
    assert.equal(await server.cli('exists', 'down:a.example', 'dead:a.example'), '0');
    await server.cli('sadd', 'dead:a.example', '1');
    await until('the mark of the checker in every worker', async () => {
      const before = state.failed;
      await askAll('a.example');
      return state.failed === before;
    });
    assert.match(await explain('a.example'), /dead until .*dead set, marked by another program/);
    state.down = false;
    await server.cli('del', 'dead:a.example');
    await until('both backends', async () => new Set(await askAll('a.example')).size === 2);
    assert.deepEqual(probes, []);
  });

  it('keeps away from a backend that dies until a running checker has decided, although its route is read again', async (t) => {
    await server.cli('set', 'hchecker_ping', String(Math.floor(Date.now() / 1000) + 20));
    for (const { proxy } of instances) {
      await until('the checker to be noticed', () => proxy.output.split('an external checker runs').length - 1 >= 2);
    }
    const { url, state } = await flaky(t);
    await server.cli('rpush', 'frontend:a.example', 'app', one.url, url);
    await untilAll('a.example', 'one');
    const post = { method: 'POST', body: 'x', headers: { 'Content-Type': 'text/plain' } };
    const statuses: number[] = [];
    for (let round = 0; round < 31; round++) {
      // Workers read the route again: whatever another program changes about the key is reported.
      await server.cli('expire', 'frontend:a.example', String(600 + round));
      for (const { proxy } of instances) {
        for (let count = 0; count < 2; count++) statuses.push((await ask(proxy.port, 'a.example', post)).status);
      }
    }
    // A POST is not sent again, so each of the four workers may fail once before it knows.
    const failed = statuses.filter((status) => status !== 200).length;
    assert.equal(statuses.length, 124);
    assert.ok(failed <= 4, `${failed} of 124 failed`);
    assert.equal(await server.cli('exists', 'down:a.example', 'dead:a.example'), '0');
    state.down = false;
  });

  describe('with certificates in the store', () => {
    let authority: Authority;

    beforeEach(() => {
      authority = new Authority();
    });

    afterEach(() => authority.dispose());

    async function setCertificate({ certificate, key }: Issued): Promise<void> {
      const { home } = instances[0] as Instance;
      writeFileSync(home.path('own.crt'), certificate);
      writeFileSync(home.path('own.key'), key);
      const { code, stderr } = await home.run(
        ...['cert', 'set', 'a.example', '--cert', home.path('own.crt'), '--key', home.path('own.key')],
      );
      assert.equal(code, 0, stderr);
    }

    async function handshake(proxy: HipacheProcess, session?: Buffer): Promise<TLSSocket> {
      const port = await proxy.tlsPort();
      const socket = connectTls({
        host: '127.0.0.1',
        port,
        servername: 'a.example',
        ca: authority.certificate,
        ...(session === undefined ? {} : { session }),
      });
      await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
      socket.on('error', () => {});
      return socket;
    }

    /** Waits until several handshakes in a row, spread over the workers, present a certificate. */
    async function untilServed({ certificate }: Issued): Promise<void> {
      const { X509Certificate } = await import('node:crypto');
      const { serialNumber } = new X509Certificate(certificate);
      for (const { proxy } of instances) {
        const met = new Set<number | null>();
        await until('the certificate in every worker', async () => {
          const socket = await handshake(proxy).catch(() => null);
          if (socket?.getPeerCertificate().serialNumber === serialNumber) met.add(workerOf(proxy, socket));
          else met.clear();
          socket?.destroy();
          met.delete(null);
          return met.size === 2;
        });
      }
    }

    it('serves what "cert set" writes and renews, without a restart', async () => {
      await server.cli('rpush', 'frontend:a.example', 'app', one.url);
      const [old, renewed] = [authority.issue(['a.example']), authority.issue(['a.example'])];
      for (const { proxy } of instances) await assert.rejects(handshake(proxy));
      await setCertificate(old);
      await untilServed(old);
      const open = await Promise.all(instances.map(({ proxy }) => handshake(proxy)));
      await setCertificate(renewed);
      await untilServed(renewed);
      for (const socket of open) {
        assert.match(await askOn(socket, 'a.example'), /one$/);
        socket.destroy();
      }
      assert.equal(await sum('hipache_worker_restarts_total{reason="crash"}'), 0);
    });

    it('resumes a session by its ticket in the other worker', async () => {
      await server.cli('rpush', 'frontend:a.example', 'app', one.url);
      await setCertificate(authority.issue(['a.example']));
      for (const { proxy } of instances) {
        let first: TLSSocket | null = null;
        let ticket: Buffer | null = null;
        await until('a first session', async () => {
          first = await handshake(proxy).catch(() => null);
          first?.on('session', (session: Buffer) => {
            ticket = session;
          });
          return first !== null;
        });
        const socket = first as unknown as TLSSocket;
        assert.match(await askOn(socket, 'a.example'), /one$/);
        await until('its ticket', () => ticket !== null);
        const issuer = workerOf(proxy, socket);
        assert.notEqual(issuer, null);
        await until('the other worker', async () => {
          const next = await handshake(proxy, ticket as unknown as Buffer);
          assert.equal(next.isSessionReused(), true);
          const worker = workerOf(proxy, next);
          next.destroy();
          return worker !== null && worker !== issuer;
        });
        socket.destroy();
      }
    });
  });

  /** Subscribes to the channel of marks, as checkers do. @returns what has arrived so far. */
  function subscribe(t: TestContext): () => string {
    const child = spawn('redis-cli', ['-p', String(server.port), 'subscribe', 'dead'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let output = '';
    child.stdout.on('data', (bytes: Buffer) => {
      output += bytes.toString();
    });
    t.after(() => child.kill());
    return () => output;
  }
});
