import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { Agent, request as httpsRequest, type RequestOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { connect } from 'node:tls';
import { openStore } from '../../src/stores/open-store.ts';
import { EtcdServer } from '../helpers/etcd-server.ts';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { Pebble } from '../helpers/pebble.ts';
import { RedisServer } from '../helpers/redis-server.ts';
import { until } from '../helpers/until.ts';
import { ZooKeeperServer } from '../helpers/zookeeper-server.ts';

interface Handshake {
  readonly certificate: X509Certificate;
  readonly body: string;
}

/** A request over TLS that trusts the root of Pebble. @returns the code of the error, if it fails. */
async function request(port: number, host: string, ca: string): Promise<Handshake | string> {
  return await new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', servername: host, ca });
    let text = '';
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.once('secureConnect', () => {
      const certificate = new X509Certificate(socket.getPeerX509Certificate()?.raw ?? '');
      socket.on('data', (data: Buffer) => {
        text += data.toString();
      });
      socket.once('end', () => resolve({ certificate, body: text.slice(text.indexOf('\r\n\r\n') + 4) }));
      socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    });
  });
}

/** The status of a request over TLS; the code of the error, if it fails. */
function statusOf(options: RequestOptions): Promise<number | string> {
  return new Promise((resolve) => {
    const sent = httpsRequest(options, (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode ?? 0));
      response.once('error', ({ message }) => resolve(message));
    });
    sent.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    sent.end();
  });
}

describe('a certificate that is ordered', () => {
  let pebble: Pebble;
  let root: string;
  let backend: Server;
  let url: string;
  let home: HipacheHome;

  before(async () => {
    pebble = await Pebble.start({ badNonces: 10 });
    root = await pebble.root();
    backend = createServer((_request, response) => response.end('from the backend'));
    await new Promise<void>((resolve) => void backend.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(backend.address() as AddressInfo).port}`;
  });
  after(async () => {
    backend?.close();
    await pebble?.remove();
  });
  beforeEach(() => {
    home = new HipacheHome();
  });
  afterEach(() => home.remove());

  function configure(acme: Readonly<Record<string, unknown>> = {}, more: Readonly<Record<string, unknown>> = {}): void {
    home.configure(
      {
        http: { bind: [{ address: '127.0.0.1', port: pebble.httpPort }] },
        https: { bind: [{ address: '127.0.0.1', port: 0 }] },
        acme: { directory: pebble.directoryUrl, ca: pebble.caFile, ...pebble.settings, ...acme },
        ...more,
      },
      { workers: 2 },
    );
  }

  async function served(proxy: HipacheProcess, host: string): Promise<Handshake> {
    const port = await proxy.tlsPort();
    let last: Handshake | string = '';
    await until(
      `https://${host}`,
      async () => {
        last = await request(port, host, root);
        return typeof last !== 'string';
      },
      30_000,
    ).catch((error) => {
      throw new Error(`${error}: ${String(last)}\n${proxy.output}`);
    });
    return last as unknown as Handshake;
  }

  test('is there after one route set, with an empty store', async () => {
    configure({ hosts: 'all', contact: 'admin@hipache.example' });
    const proxy = await home.serve();
    await home.route('set', 'new.example', url);
    await until('the certificate', () => proxy.output.includes('new.example: certificate issued by'), 30_000);
    const { body, certificate } = await served(proxy, 'new.example');
    assert.equal(body, 'from the backend');
    assert.equal(certificate.checkHost('new.example'), 'new.example');
    assert.match((await home.run('cert', 'list')).stdout, /^new\.example +until 20.* by Pebble/);
    const why = (await home.run('cert', 'why', 'new.example')).stdout;
    assert.match(why, /^new\.example: certificate until 20.* \(in .*\), by Pebble.*, ordered from https:/m);
    assert.match(why, /^renewal: 20.* \(in .*\); two thirds of its life$/m);
    assert.match(why, /^orders: by any instance, as they are due\norders of new\.example so far: 1$/m);
    const again = await home.run('cert', 'order', 'new.example');
    assert.equal(again.code, 0, again.stderr + proxy.output);
    assert.match(again.stdout, /^orders of new\.example so far: 2$/m);
    await until('the new certificate', async () => {
      const next = await request(await proxy.tlsPort(), 'new.example', root);
      return typeof next !== 'string' && next.certificate.fingerprint256 !== certificate.fingerprint256;
    });
    const revoked = await home.run('cert', 'revoke', 'new.example', '--reason', 'keyCompromise');
    assert.equal(revoked.code, 0, revoked.stderr);
    assert.match(revoked.stdout, /^new\.example: certificate [0-9A-F]+ revoked by https:.*; another one is ordered$/m);
    await until('another one', () => proxy.output.split('new.example: certificate issued by').length === 4, 30_000);
    assert.match((await home.run('cert', 'revoke', 'new.example', '--reason', 'bored')).stderr, /allowed unspecified,/);
    assert.equal((await home.run('cert', 'revoke', 'none.example')).code, 3);
  });

  test('comes with the option, before redirects, access lists and maintenance, and not without it', async () => {
    configure();
    const proxy = await home.serve();
    await home.route('set', 'listed.example', url);
    await home.route('set', 'other.example', url);
    for (const [name, value] of [
      ['https', 'redirect'],
      ['allow', '192.0.2.1'],
      ['maintenance', 'on'],
      ['hold', '30s'],
      ['tls', 'auto'],
    ]) {
      const { code, stderr } = await home.run('option', 'set', 'listed.example', name as string, value as string);
      assert.equal(code, 0, stderr);
    }
    await until('the certificate', () => proxy.output.includes('listed.example: certificate issued by'), 30_000);
    const found = await served(proxy, 'listed.example');
    assert.equal(found.certificate.checkHost('listed.example'), 'listed.example');
    assert.match(String(await request(await proxy.tlsPort(), 'other.example', root)), /ERR_SSL|ECONNRESET/);
    assert.equal((await home.run('cert', 'list')).stdout.includes('other.example'), false);
  });

  test('is ordered in the first handshake of a host below a wildcard, and for no unknown host', async () => {
    // Proved by TLS-ALPN-01, on the port on which clients are served.
    configure(
      { hosts: 'all', passphrase: 'a secret of the whole fleet', challenges: ['tls-alpn-01'] },
      { https: { bind: [{ address: '127.0.0.1', port: pebble.tlsPort }] } },
    );
    await home.route('set', '*.shops.example', url);
    const proxy = await home.serve();
    const port = await proxy.tlsPort();
    // Several clients at once wait for one order.
    const all = await Promise.all([1, 2, 3, 4].map(() => request(port, 'a.shops.example', root)));
    for (const one of all) {
      assert.ok(typeof one !== 'string', `${String(one)}\n${proxy.output}`);
      assert.equal(one.body, 'from the backend');
    }
    assert.equal(proxy.output.split('a.shops.example: certificate issued by').length, 2);
    assert.match(String(await request(port, 'unknown.example', root)), /ERR_SSL|ECONNRESET/);
    assert.doesNotMatch(proxy.output, /unknown\.example/);
    const store = await openStore(home.driver);
    const [found] = await store.certificates.read(['a.shops.example']);
    await store.close();
    assert.match(found?.key ?? '', /ENCRYPTED/);
    createPrivateKey({ key: found?.key ?? '', passphrase: 'a secret of the whole fleet' });
  });

  test('is renewed under load, without a handshake or a request that fails', async () => {
    configure({ hosts: 'all' });
    const proxy = await home.serve();
    await home.route('set', 'busy.example', url);
    const first = await served(proxy, 'busy.example');
    const port = await proxy.tlsPort();
    const failures: string[] = [];
    const serials = new Set([first.certificate.serialNumber]);
    let [handshakes, isOver] = [0, false];
    const clients = Array.from({ length: 4 }, async () => {
      while (!isOver) {
        const found = await request(port, 'busy.example', root);
        handshakes++;
        if (typeof found === 'string' || found.body !== 'from the backend') failures.push(JSON.stringify(found));
        else serials.add(found.certificate.serialNumber);
      }
    });
    const kept = new Agent({ keepAlive: true, maxSockets: 2 });
    const keeping = Array.from({ length: 2 }, async () => {
      while (!isOver) {
        const options = { agent: kept, port, host: '127.0.0.1', servername: 'busy.example', ca: root };
        const status = await statusOf({ ...options, headers: { host: 'busy.example' } });
        if (status !== 200) failures.push(`on a kept connection: ${status}`);
      }
    });
    for (let renewals = 0; renewals < 2; renewals++) {
      const before = serials.size;
      const renewed = await home.run('cert', 'renew', 'busy.example');
      assert.equal(renewed.code, 0, renewed.stderr);
      await until('handshakes with the new certificate', () => serials.size > before);
    }
    isOver = true;
    await Promise.all([...clients, ...keeping]);
    kept.destroy();
    assert.deepEqual(failures, []);
    assert.ok(handshakes > 20, String(handshakes));
  });

  test('of a wildcard is proved by the DNS, and serves the hosts below it', async () => {
    const hook = createServer(async (asked, response) => {
      let body = '';
      for await (const part of asked) body += part;
      const { fqdn, value } = JSON.parse(body);
      const { ok } = await pebble.tellDns(asked.url === '/present' ? 'set-txt' : 'clear-txt', { host: fqdn, value });
      calls.push(`${asked.url} ${fqdn}`);
      response.writeHead(ok ? 200 : 500).end();
    });
    const calls: string[] = [];
    await new Promise<void>((resolve) => void hook.listen(0, '127.0.0.1', resolve));
    try {
      configure({ dns: { url: `http://127.0.0.1:${(hook.address() as AddressInfo).port}` } });
      const proxy = await home.serve();
      await home.route('set', '*.wild.example', url);
      // The order begins with the option; a handshake of a host below waits for it.
      assert.equal((await home.run('option', 'set', '*.wild.example', 'tls', 'auto')).code, 0);
      const { body, certificate } = await served(proxy, 'any.wild.example');
      assert.equal(body, 'from the backend');
      assert.equal(certificate.subjectAltName, 'DNS:*.wild.example');
      assert.deepEqual(
        calls,
        ['/present', '/cleanup'].map((action) => `${action} _acme-challenge.wild.example.`),
      );
      const why = (await home.run('cert', 'why', 'any.wild.example')).stdout;
      assert.match(
        why,
        /^served: the certificate of \*\.wild\.example\norders: none: the host uses the certificate of \*\.wild\.example$/m,
      );
      assert.match(
        (await home.run('cert', 'order', 'any.wild.example')).stderr,
        /uses the certificate of \*\.wild\.example: order that one/,
      );
      assert.match((await home.run('cert', 'why', '*.wild.example')).stdout, /ordered from https:/);
    } finally {
      hook.close();
    }
  });

  test('that cannot be had fails the handshake in time, and says why', async () => {
    configure({ hosts: 'all' });
    await pebble.tellDns('set-servfail', { host: 'broken.example.' });
    await home.route('set', 'broken.example', url);
    const proxy = await home.serve();
    const error = await request(await proxy.tlsPort(), 'broken.example', root);
    assert.equal(typeof error, 'string');
    assert.match(
      proxy.output,
      /broken\.example: no certificate is ordered: .*its name servers do not say where it is \(/,
    );
    assert.match(proxy.output, /broken\.example: the next attempt for its certificate is at 20/);
    const why = (await home.run('cert', 'why', 'broken.example')).stdout;
    assert.match(why, /^broken\.example: no certificate of its own in the store$/m);
    assert.match(
      why,
      /^check before an order: failed, 1 in a row: broken\.example cannot be proved: its name servers do not say where it is/m,
    );
    assert.match(why, /^next attempt: 20.* \(in .*\)$/m);
    const again = await home.run('cert', 'renew', 'broken.example');
    assert.equal(again.code, 1);
    assert.match(again.stderr, /broken\.example cannot be proved: its name servers .*; the next attempt is at 20/);
    await pebble.tellDns('clear-servfail', { host: 'broken.example.' });
    assert.equal((await home.run('cert', 'order', 'broken.example')).code, 0);
    await served(proxy, 'broken.example');
    const { code, stderr } = await home.run('cert', 'order', 'without-route.example');
    assert.deepEqual([code, /has no route, or its option tls is not auto/.test(stderr)], [3, true]);
    assert.match((await home.run('cert', 'order', 'under_score.example')).stderr, /no authority issues for it/);
  });

  for (const [what, start, instances, count] of [
    ['three instances on Redis', () => RedisServer.start(), 3, 10],
    ['two instances on etcd', () => EtcdServer.start(), 2, 3],
    ['two instances on ZooKeeper', () => ZooKeeperServer.start(), 2, 3],
  ] as const) {
    test(`is ordered once by ${what}`, async () => {
      const server = await start();
      const others = Array.from({ length: instances - 1 }, () => new HipacheHome());
      try {
        configure({ hosts: 'all' }, { driver: 'urls' in server ? server.urls : server.url });
        const acme = { directory: pebble.directoryUrl, ca: pebble.caFile, hosts: 'all', ...pebble.settings };
        for (const other of others) {
          other.configure({
            https: { bind: [{ address: '127.0.0.1', port: 0 }] },
            acme,
            driver: 'urls' in server ? server.urls : server.url,
          });
        }
        const proxies = await Promise.all([home, ...others].map((one) => one.serve()));
        const names = Array.from({ length: count }, (_, i) => `fleet-${i}.example`);
        await Promise.all(names.map((name) => home.route('set', name, url)));
        for (const name of names) {
          for (const proxy of proxies) {
            const { certificate } = await served(proxy, name);
            assert.equal(certificate.checkHost(name), name);
          }
        }
        const issued = proxies.map(({ output }) => output.split(': certificate issued by').length - 1);
        assert.equal(
          issued.reduce((sum, number) => sum + number, 0),
          names.length,
        );
      } finally {
        for (const other of others) await other.remove();
        await server.remove();
      }
    });
  }
});
