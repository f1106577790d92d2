import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { connect as connectPlain } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { systemClock } from '../../src/base/clock.ts';
import { CertificateDirectory } from '../../src/tls/certificate-directory.ts';
import { ServerCertificates } from '../../src/tls/server-certificates.ts';
import type { CertificateRecords } from '../../src/tls/store-certificates.ts';
import { acceptOf } from '../../src/websocket/handshake.ts';
import { Authority, type Issued } from '../helpers/authority.ts';
import { RawClient } from '../helpers/raw-client.ts';
import { get, Rig, response } from '../helpers/rig.ts';
import { TlsRig, type TlsRigOptions, ticketKeys } from '../helpers/tls-rig.ts';
import { until } from '../helpers/until.ts';

let authority: Authority;
let own: Issued;

before(() => {
  authority = new Authority();
  own = authority.issue(['a.test', '*.a.test', '127.0.0.1']);
});

after(() => authority.dispose());

function start(t: TestContext, options: Partial<TlsRigOptions> = {}): Promise<TlsRig> {
  return TlsRig.start(t, { authority, own, ...options });
}

function serialOf(issued: Issued): string {
  return new X509Certificate(issued.certificate).serialNumber;
}

/** A store of certificates that a test fills. */
class Records implements CertificateRecords {
  readonly records = new Map<string, { certificate: string; key: string; problem?: string }>();
  readonly asked: string[][] = [];
  isDown = false;

  async read(patterns: readonly string[]) {
    this.asked.push([...patterns]);
    if (this.isDown) throw new Error('the store is down');
    return patterns.map((pattern) => this.records.get(pattern) ?? null);
  }
}

describe('a TLS connection', () => {
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    test(`${version}: a request and its response, with what the backend must learn`, async (t) => {
      const rig = await start(t);
      const socket = await rig.connect({ minVersion: version, maxVersion: version });
      assert.equal(socket.getProtocol(), version);
      assert.equal(socket.alpnProtocol, false);
      await rig.exchange(socket);
      const { received } = rig.rig.backend;
      assert.match(received, /\r\nX-Forwarded-Proto: https\r\n/i);
      assert.match(received, /\r\nX-Forwarded-Port: 443\r\n/i);
      assert.match(received, /\r\nX-Forwarded-For: 127\.0\.0\.1\r\n/i);
      socket.end();
    });
  }

  test('older versions are refused', async (t) => {
    const rig = await start(t);
    await assert.rejects(rig.connect({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }));
    await until('the count', () => rig.rig.proxy.dataPlane.counters.tlsHandshakesFailed === 1);
  });

  test('a client that speaks HTTP without TLS gets 400, which says so', async (t) => {
    const rig = await start(t);
    for (const request of [get('/'), 'POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello']) {
      const client = await RawClient.connect(rig.port);
      client.send(request);
      await client.untilEnded();
      assert.match(client.received, /^HTTP\/1\.1 400 Bad Request\r\n.*\r\n\r\nthis port expects https\n$/s);
      assert.match(client.received, /\r\nx-hipache-error: REQUEST_PLAIN\r\n/);
      client.close();
    }
    assert.equal(rig.rig.backend.received, '');
  });

  test('to an address without TLS is closed, and the log says why', async (t) => {
    const rig = await Rig.start(t);
    const socket = connectTls({ host: '127.0.0.1', port: rig.proxy.port, rejectUnauthorized: false });
    const error = await new Promise<Error>((resolve) => socket.once('error', resolve));
    assert.match(error.message, /disconnected|reset|ECONNRESET|socket hang up/);
    await until('the log', () => rig.proxy.warnings.length > 0);
    assert.match(rig.proxy.warnings.join(), /a client begins with TLS on an address without TLS.*"client":"::ffff:127/);
    const pieces = await rig.client();
    for (const byte of ['\x16', '\x03', '\x01']) pieces.send(byte);
    await pieces.untilEnded();
    assert.equal(pieces.received, '');
  });

  test('ALPN: a client that knows HTTP/1.0 alone is served, as curl --http1.0', async (t) => {
    const rig = await start(t);
    const socket = await rig.connect({ ALPNProtocols: ['http/1.0'] });
    assert.equal(socket.alpnProtocol, 'http/1.0');
    await rig.exchange(socket);
    socket.end();
  });

  test('ALPN: http/1.1 is chosen', async (t) => {
    const rig = await start(t);
    const socket = await rig.connect({ ALPNProtocols: ['h2', 'http/1.1'] });
    assert.equal(socket.alpnProtocol, 'http/1.1');
  });

  test('long bodies pass in both directions', async (t) => {
    const rig = await start(t);
    const socket = await rig.connect();
    const body = 'b'.repeat(3_000_000);
    let received = '';
    socket.on('data', (bytes: Buffer) => {
      received += bytes.toString('latin1');
    });
    socket.write(`POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    await until(
      'the body',
      () => rig.rig.backend.received.endsWith('bbb') && rig.rig.backend.received.length > body.length,
    );
    rig.rig.backend.peers[0]?.send(response(body));
    await until('the response', () => received.length > body.length && received.endsWith('bbb'));
  });

  test('many requests on one connection, then an end from the client', async (t) => {
    const rig = await start(t);
    const socket = await rig.connect();
    for (let round = 0; round < 3; round++) {
      const head = rig.rig.backend.received.length;
      socket.write(get(`/${round}`));
      await until('the request', () => rig.rig.backend.received.slice(head).endsWith('\r\n\r\n'));
      rig.rig.backend.peers[0]?.send(response('x'));
    }
    socket.end();
    await until('the end', () => rig.rig.proxy.dataPlane.counters.clientConnectionsOpen === 0);
  });

  test('plain HTTP, garbage and an incomplete handshake are ended, and harm nobody', async (t) => {
    const rig = await start(t, { settings: { headTimeoutMs: 300 } });
    for (const bytes of ['GET / HTTP/1.1\r\nHost: a.test\r\n\r\n', '\0'.repeat(100), '\x16\x03\x01\x02\x00\x01', '']) {
      const socket = connectPlain(rig.port, '127.0.0.1');
      socket.on('error', () => {});
      socket.write(bytes, 'latin1');
      socket.resume();
      await new Promise((resolve) => socket.once('close', resolve));
    }
    await rig.exchange(await rig.connect());
    assert.equal(rig.rig.proxy.dataPlane.counters.tlsHandshakesFailed, 4);
  });

  test('a truncated response ends without a TLS close', async (t) => {
    const rig = await start(t);
    const socket = await rig.connect();
    let ended = false;
    socket.on('end', () => {
      ended = true;
    });
    socket.write(get());
    await until('the request', () => rig.rig.backend.received.endsWith('\r\n\r\n'));
    rig.rig.backend.peers[0]?.send('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf');
    rig.rig.backend.peers[0]?.socket.end();
    await new Promise((resolve) => socket.once('close', resolve));
    assert.equal(ended, false);
  });

  test('a PROXY header precedes the handshake', async (t) => {
    const rig = await start(t, { proxyProtocol: true });
    const plain = connectPlain(rig.port, '127.0.0.1');
    plain.write('PROXY TCP4 203.0.113.9 127.0.0.1 1000 443\r\n');
    const socket = await rig.connect({ socket: plain });
    await rig.exchange(socket);
    assert.match(rig.rig.backend.received, /\r\nX-Forwarded-For: 203\.0\.113\.9\r\n/i);
    const without = connectPlain(rig.port, '127.0.0.1');
    await assert.rejects(rig.connect({ socket: without }));
  });

  test('a WebSocket over TLS', async (t) => {
    const rig = await start(t);
    const socket = await rig.connect();
    const key = 'dGhlIHNhbXBsZSBub25jZQ==';
    let received = '';
    socket.on('data', (bytes: Buffer) => {
      received += bytes.toString('latin1');
    });
    socket.write(
      `${get('/', 'Upgrade: websocket', 'Connection: Upgrade', `Sec-WebSocket-Key: ${key}`, 'Sec-WebSocket-Version: 13')}early`,
    );
    await until('the handshake', () => rig.rig.backend.received.endsWith('\r\n\r\n'));
    const [peer] = rig.rig.backend.peers;
    peer?.send(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptOf(key)}\r\n\r\nfirst`,
    );
    await until('the first bytes', () => received.endsWith('first'));
    await until('the early bytes', () => rig.rig.backend.received.endsWith('early'));
    socket.end();
    await until('the end', () => peer?.ended === true);
    peer?.socket.end();
    await until('its end in the log', () => rig.rig.proxy.ended.length === 1);
    assert.equal(rig.rig.proxy.ended[0]?.errorCode, null);
  });

  test('sessions are resumed even by another worker, but not after the keys have changed', async (t) => {
    const rig = await start(t, { settings: { backendKeepAlive: false } });
    const other = await start(t);
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const options = { minVersion: version, maxVersion: version } as const;
      const first = await rig.connect(options);
      let session: Buffer | undefined;
      first.on('session', (ticket: Buffer) => {
        session = ticket;
      });
      // In TLS 1.3, tickets follow the first data.
      await rig.exchange(first, rig.rig.backend.peers.length);
      // In TLS 1.2, they are part of the handshake.
      if (version === 'TLSv1.2') session = first.getSession();
      await until('a ticket', () => session !== undefined);
      const ticket = session as Buffer;
      assert.equal((await rig.connect({ ...options, session: ticket })).isSessionReused(), true, version);
      assert.equal((await other.connect({ ...options, session: ticket })).isSessionReused(), true, version);
      const newer = Buffer.alloc(48, version.length + Number(version.slice(-1)));
      // Keys that are rotated open what they have sealed.
      other.listener.setTicketKeys([newer, ...ticketKeys]);
      assert.equal((await other.connect({ ...options, session: ticket })).isSessionReused(), true, version);
      other.listener.setTicketKeys([newer]);
      assert.equal((await other.connect({ ...options, session: ticket })).isSessionReused(), false, version);
      other.listener.setTicketKeys(ticketKeys);
      first.destroy();
      await until('its end', () => rig.rig.proxy.dataPlane.counters.requestsInFlight === 0);
    }
    assert.equal(rig.rig.proxy.dataPlane.counters.tlsHandshakesResumed, 2);
  });
});

describe('certificates by SNI', () => {
  test("the exact name precedes the wildcard of its parent, which precedes the address's own", async (t) => {
    const store = new Records();
    const exact = authority.issue(['x.b.test']);
    const wildcard = authority.issue(['*.b.test']);
    store.records.set('x.b.test', exact);
    store.records.set('*.b.test', wildcard);
    const rig = await start(t, { store });
    assert.equal(await rig.serial('x.b.test'), serialOf(exact));
    assert.equal(await rig.serial('X.B.test'), serialOf(exact));
    assert.equal(await rig.serial('y.b.test'), serialOf(wildcard));
    assert.equal(await rig.serial('deep.y.b.test'), serialOf(own));
    assert.equal(await rig.serial('c.test'), serialOf(own));
    assert.equal(await rig.serial(''), serialOf(own));
    const asked = store.asked.length;
    for (const name of ['x.b.test', 'y.b.test', 'c.test']) await rig.serial(name);
    assert.equal(store.asked.length, asked, 'presence and absence are remembered');
  });

  test('a name without a certificate fails if the address has none, and only that name', async (t) => {
    const store = new Records();
    store.records.set('b.test', authority.issue(['b.test']));
    const rig = await start(t, { store, hasOwn: false });
    await assert.rejects(rig.connect({ servername: 'none.test' }));
    await assert.rejects(rig.connect({ servername: '' }));
    await rig.connect({ servername: 'b.test' });
  });

  test('a renewed record is served once the store notifies of it', async (t) => {
    const store = new Records();
    const [first, second] = [authority.issue(['b.test']), authority.issue(['b.test'])];
    store.records.set('b.test', first);
    const rig = await start(t, { store });
    rig.certificates.restored();
    assert.equal(await rig.serial('b.test'), serialOf(first));
    store.records.set('b.test', second);
    assert.equal(await rig.serial('b.test'), serialOf(first));
    rig.certificates.changed('certificates', ['b.test']);
    assert.equal(await rig.serial('b.test'), serialOf(second));
    store.records.delete('b.test');
    rig.certificates.changed('certificates', ['b.test']);
    assert.equal(await rig.serial('b.test'), serialOf(own));
  });

  test('certificates survive the loss of the store, which is asked again when it is back', async (t) => {
    const store = new Records();
    const [first, second] = [authority.issue(['b.test']), authority.issue(['b.test'])];
    store.records.set('b.test', first);
    const rig = await start(t, { store });
    rig.certificates.restored();
    await rig.serial('b.test');
    store.isDown = true;
    rig.certificates.lost();
    store.records.set('b.test', second);
    assert.equal(await rig.serial('b.test'), serialOf(first));
    rig.certificates.restored();
    assert.equal(await rig.serial('b.test'), serialOf(first));
    store.isDown = false;
    assert.equal(await rig.serial('b.test'), serialOf(second));
  });

  test('bad records are named once, and affect neither the others nor what was served before', async (t) => {
    const store = new Records();
    const good = authority.issue(['good.test']);
    store.records.set('good.test', good);
    store.records.set('odd.test', { certificate: 'none', key: 'none' });
    store.records.set('mixed.test', { certificate: good.certificate, key: own.key });
    store.records.set('type.test', { certificate: '', key: '', problem: 'the record is not a hash' });
    store.records.set('old.test', authority.issue(['old.test'], { days: -1 }));
    const rig = await start(t, { store });
    rig.certificates.restored();
    for (let round = 0; round < 2; round++) {
      for (const name of ['odd.test', 'mixed.test', 'type.test']) assert.equal(await rig.serial(name), serialOf(own));
      assert.equal(await rig.serial('good.test'), serialOf(good));
      await rig.serial('old.test');
    }
    assert.equal(rig.problems.length, 4);
    assert.match(rig.problems.join('\n'), /odd\.test, in the store: the certificate has no "-----BEGIN/);
    assert.match(rig.problems.join('\n'), /mixed\.test, in the store: the key does not belong to the certificate/);
    assert.match(rig.problems.join('\n'), /type\.test in the store: the record is not a hash/);
    assert.match(rig.problems.join('\n'), /old\.test, in the store, has expired on 20/);
    assert.doesNotMatch(rig.problems.join('\n'), /PRIVATE KEY-----\n/);
    store.records.set('good.test', { certificate: 'broken', key: 'broken' });
    rig.certificates.changed('certificates', ['good.test']);
    assert.equal(await rig.serial('good.test'), serialOf(good));
  });

  test('a handshake after a notification gets the new certificate, even if others wait for the old one', async (t) => {
    const store = new Records();
    const [first, second] = [authority.issue(['b.test']), authority.issue(['b.test'])];
    store.records.set('b.test', first);
    const rig = await start(t, { store });
    rig.certificates.restored();
    const gate = Promise.withResolvers<void>();
    const read = store.read.bind(store);
    store.read = async (patterns) => {
      const records = await read(patterns);
      await gate.promise;
      return records;
    };
    const early = rig.serial('b.test');
    await until('a read', () => store.asked.length === 1);
    store.records.set('b.test', second);
    rig.certificates.changed('certificates', ['b.test']);
    store.read = read;
    assert.equal(await rig.serial('b.test'), serialOf(second));
    gate.resolve();
    await early;
    assert.equal(await rig.serial('b.test'), serialOf(second));
  });

  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    test(`${version}: chain, session and its resumption by another worker, also with a context that is made again`, async (t) => {
      const chained = authority.issue(['c.test']);
      const other = authority.issue(['d.test']);
      const store = new Records();
      store.records.set('c.test', { ...chained, certificate: chained.certificate + authority.certificate });
      store.records.set('d.test', other);
      const rigs = [await start(t, { store, entriesMax: 1 }), await start(t, { store, entriesMax: 1 })] as const;
      const options = { servername: 'c.test', minVersion: version, maxVersion: version } as const;
      const first = await rigs[0].connect(options);
      const peer = first.getPeerCertificate(true);
      assert.equal(peer.serialNumber, serialOf(chained));
      assert.equal(peer.issuerCertificate.fingerprint256, new X509Certificate(authority.certificate).fingerprint256);
      let session: Buffer | undefined;
      first.on('session', (ticket: Buffer) => {
        session = ticket;
      });
      await rigs[0].exchange(first, rigs[0].rig.backend.peers.length);
      if (version === 'TLSv1.2') session = first.getSession();
      await until('a ticket', () => session !== undefined);
      for (const rig of rigs) {
        assert.equal(await rig.serial('d.test'), serialOf(other));
        const resumed = await rig.connect({ ...options, ...(session === undefined ? {} : { session }) });
        assert.equal(resumed.isSessionReused(), true);
        assert.equal((await rig.connect(options)).getPeerCertificate().serialNumber, serialOf(chained));
      }
      rigs[1].listener.setTicketKeys([Buffer.alloc(48, 9)]);
      const refused = await rigs[1].connect({ ...options, ...(session === undefined ? {} : { session }) });
      assert.equal(refused.isSessionReused(), false);
    });
  }

  test('no more are kept than the limit', async (t) => {
    const store = new Records();
    for (let i = 0; i < 6; i++) store.records.set(`b${i}.test`, own);
    const rig = await start(t, { store, entriesMax: 3 });
    for (let i = 0; i < 6; i++) await rig.serial(`b${i}.test`);
    assert.equal(rig.certificates.size, 3);
  });

  test('a name that is not a host is not looked up in the store', async (t) => {
    const store = new Records();
    const rig = await start(t, { store });
    for (const name of ['a..test', '../etc/passwd', '__proto__.', `${'a'.repeat(64)}.test`, '*.b.test']) {
      const chosen = await new Promise((resolve) => {
        const handshake = { address: '192.0.2.1', alpnProtocol: () => '', askCertificate: () => {} };
        rig.listener.chooseContext(name, handshake, (error, context) => resolve(error ?? context));
      });
      assert.equal(chosen, null, name);
    }
    assert.deepEqual(store.asked.flat(), ['__proto__', '*']);
  });
});

describe('certificates in a directory', () => {
  let folder: string;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'hipache-certificates-'));
  });

  after(() => rmSync(folder, { recursive: true, force: true }));

  test('in one file, in two, and as ACME clients leave them, by name and by wildcard', async (t) => {
    const [one, two, acme, wildcard] = [['one.test'], ['two.test'], ['acme.test'], ['*.w.test']].map((names) =>
      authority.issue(names),
    ) as [Issued, Issued, Issued, Issued];
    writeFileSync(join(folder, 'one.test.pem'), one.certificate + one.key);
    writeFileSync(join(folder, 'two.test.crt'), two.certificate);
    writeFileSync(join(folder, 'two.test.key'), two.key);
    mkdirSync(join(folder, 'acme.test'));
    mkdirSync(join(folder, 'archive'));
    writeFileSync(join(folder, 'archive', 'fullchain1.pem'), acme.certificate);
    writeFileSync(join(folder, 'archive', 'privkey1.pem'), acme.key);
    symlinkSync('../archive/fullchain1.pem', join(folder, 'acme.test', 'fullchain.pem'));
    symlinkSync('../archive/privkey1.pem', join(folder, 'acme.test', 'privkey.pem'));
    writeFileSync(join(folder, '_.w.test.pem'), wildcard.certificate + wildcard.key);
    const rig = await start(t, { directory: folder });
    assert.equal(await rig.serial('one.test'), serialOf(one));
    assert.equal(await rig.serial('two.test'), serialOf(two));
    assert.equal(await rig.serial('acme.test'), serialOf(acme));
    assert.equal(await rig.serial('x.w.test'), serialOf(wildcard));
    assert.equal(await rig.serial('none.test'), serialOf(own));
  });

  test('a renewed file is served, a broken one is named and leaves the previous one in use', async (t) => {
    const [first, second] = [authority.issue(['r.test']), authority.issue(['r.test'])];
    const file = join(folder, 'r.test.pem');
    writeFileSync(file, first.certificate + first.key);
    let nowMs = 0;
    const problems: string[] = [];
    const certificates = new ServerCertificates({
      sources: [new CertificateDirectory(folder)],
      bytesMax: 16 * 1024 * 1024,
      clock: { ...systemClock, monotonicMs: () => nowMs },
      onProblem: (message) => problems.push(message),
    });
    t.after(() => unlinkSync(file));
    const context = await certificates.load('r.test');
    assert.equal(certificates.cached('r.test'), context);
    writeFileSync(file, 'nothing');
    nowMs += 60_000;
    assert.equal(certificates.cached('r.test'), undefined);
    assert.equal(await certificates.load('r.test'), context);
    assert.equal(problems.length, 1);
    writeFileSync(file, second.certificate + second.key);
    nowMs += 60_000;
    assert.notEqual(await certificates.load('r.test'), context);
    assert.equal(problems.length, 1);
  });
});
