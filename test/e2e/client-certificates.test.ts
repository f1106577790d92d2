import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, afterEach, before, describe, test } from 'node:test';
import { type ConnectionOptions, connect, type SecureVersion, type TLSSocket } from 'node:tls';
import { Authority, type Issued } from '../helpers/authority.ts';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { ask } from '../helpers/http-client.ts';
import { until } from '../helpers/until.ts';

interface Reply {
  readonly status: number;
  /** The error code of the proxy; undefined from a backend. */
  readonly code: string | undefined;
  /** The fields that the backend got. */
  readonly fields: IncomingHttpHeaders;
}

/** A client that keeps its connection. */
class TlsClient {
  readonly socket: TLSSocket;
  private received = '';
  private tickets: Buffer[] = [];

  constructor(port: number, servername: string, options: ConnectionOptions) {
    this.socket = connect({ host: '127.0.0.1', port, servername, ...options });
    this.socket.on('data', (bytes: Buffer) => {
      this.received += bytes.toString('latin1');
    });
    this.socket.on('session', (session: Buffer) => this.tickets.push(session));
    this.socket.on('error', () => {});
  }

  async get(host: string, ...lines: readonly string[]): Promise<Reply> {
    this.received = '';
    this.socket.write(`GET / HTTP/1.1\r\n${[`Host: ${host}`, 'Accept: text/plain', ...lines].join('\r\n')}\r\n\r\n`);
    await until('a reply', () => {
      const [head, body = ''] = this.received.split('\r\n\r\n');
      const length = Number(/^content-length: (\d+)$/im.exec(head ?? '')?.[1] ?? Number.NaN);
      return body.length === length;
    });
    const [head = '', body = ''] = this.received.split('\r\n\r\n');
    const code = /^x-hipache-error: (.*)$/im.exec(head)?.[1];
    return { status: Number(head.slice(9, 12)), code, fields: code === undefined ? JSON.parse(body) : {} };
  }

  /** A session that can be resumed. */
  async session(): Promise<Buffer> {
    await until('a ticket', () => this.tickets.length > 0);
    return this.tickets.at(-1) as Buffer;
  }
}

describe('certificates of clients', () => {
  const hosts = ['a.example', 'b.example', 'other.example', 'optional.example', 'open.example'];
  let serverAuthority: Authority;
  let authority: Authority;
  let stranger: Authority;
  let alice: Issued;
  let home: HipacheHome;
  let proxy: HipacheProcess;
  let backend: Server;
  let backendUrl: string;
  /** The fields that the auth server got last. */
  let asked: IncomingHttpHeaders = {};
  let port: number;
  const clients: TlsClient[] = [];

  before(async () => {
    [serverAuthority, authority, stranger] = [new Authority(), new Authority('Clients'), new Authority('Strangers')];
    alice = authority.issue(['alice.test']);
    const { certificateFile: cert, keyFile: key } = serverAuthority.issue(hosts);
    backend = createServer((request, response) => {
      if (request.url === '/auth') asked = request.headers;
      response.end(JSON.stringify(request.headers));
    });
    await new Promise<void>((resolve) => backend.listen(0, '127.0.0.1', resolve));
    home = new HipacheHome();
    home.configure({ https: { bind: [{ address: '127.0.0.1', port: 0, cert, key }] } }, { workers: 2 });
    proxy = await home.serve();
    port = await proxy.tlsPort();
    backendUrl = `http://127.0.0.1:${(backend.address() as AddressInfo).port}`;
    for (const host of hosts) await home.route('set', host, backendUrl);
    await option('a.example', 'clientCert', 'required', 'clientCa', `@${authority.certificateFile}`);
    await option('b.example', 'clientCert', 'required', 'clientCa', `@${authority.certificateFile}`);
    await option('other.example', 'clientCert', 'required', 'clientCa', `@${stranger.certificateFile}`);
    await option('optional.example', 'clientCert', 'optional', 'clientCa', `@${authority.certificateFile}`);
  });
  afterEach(() => {
    for (const client of clients.splice(0)) client.socket.destroy();
  });
  after(async () => {
    await home?.remove();
    backend?.close();
    for (const each of [serverAuthority, authority, stranger]) each?.dispose();
  });

  async function option(host: string, ...values: readonly string[]): Promise<void> {
    const { code, stderr } = await home.run('option', 'set', '--wait', '30', host, ...values);
    assert.equal(code, 0, stderr);
  }

  function open(servername: string, issued: Issued | null = null, options: ConnectionOptions = {}): TlsClient {
    const shown = issued === null ? {} : { cert: issued.certificate, key: issued.key };
    const client = new TlsClient(port, servername, { ca: serverAuthority.certificate, ...shown, ...options });
    clients.push(client);
    return client;
  }

  function fieldOf({ certificate }: Issued): string {
    return `:${new X509Certificate(certificate).raw.toString('base64')}:`;
  }

  for (const maxVersion of ['TLSv1.3', 'TLSv1.2'] as const satisfies SecureVersion[]) {
    test(`lets in a client with one, whom backends know, with ${maxVersion}`, async () => {
      const client = open('a.example', alice, { maxVersion });
      for (let count = 0; count < 2; count++) {
        const spoofed = ['Client-Cert: :AAAA:', 'Client_Cert: :AAAA:', 'Client-Cert-Chain: :AAAA:'];
        const { fields, status } = await client.get('a.example', ...spoofed);
        assert.deepEqual([status, fields['client-cert']], [200, fieldOf(alice)]);
        assert.deepEqual([fields['client_cert'], fields['client-cert-chain']], [undefined, undefined]);
      }
    });

    test(`lets in a client that resumes a session, with ${maxVersion}`, async () => {
      const first = open('a.example', alice, { maxVersion });
      assert.equal((await first.get('a.example')).status, 200);
      const session = await first.session();
      for (let count = 0; count < 6; count++) {
        const client = open('a.example', alice, { maxVersion, session });
        const { fields, status } = await client.get('a.example');
        assert.deepEqual([client.socket.isSessionReused(), status], [true, 200]);
        assert.equal(fields['client-cert'], fieldOf(alice));
        assert.equal((await client.get('b.example')).status, 200);
        assert.equal((await client.get('other.example')).code, 'MISDIRECTED');
      }
    });

    test(`refuses a client without one, also when it resumes, with ${maxVersion}`, async () => {
      const first = open('a.example', null, { maxVersion });
      const { code, status } = await first.get('a.example');
      assert.deepEqual([status, code], [403, 'CLIENT_CERTIFICATE_REQUIRED']);
      const again = open('a.example', null, { maxVersion, session: await first.session() });
      assert.equal((await again.get('a.example')).code, 'MISDIRECTED');
      assert.equal(again.socket.isSessionReused(), true);
    });

    test(`refuses a certificate of another authority, also when the client resumes, with ${maxVersion}`, async () => {
      const issued = stranger.issue(['bob.test']);
      const first = open('a.example', issued, { maxVersion });
      assert.equal((await first.get('a.example')).code, 'CLIENT_CERTIFICATE_REQUIRED');
      const session = await first.session();
      const again = open('a.example', issued, { maxVersion, session });
      for (const host of ['a.example', 'other.example', 'b.example'])
        assert.notEqual((await again.get(host)).status, 200, host);
      assert.equal(again.socket.isSessionReused(), true);
    });

    test(`begins a new session for another host, with ${maxVersion}`, async () => {
      const first = open('open.example', alice, { maxVersion });
      assert.equal((await first.get('open.example')).status, 200);
      const client = open('a.example', null, { maxVersion, session: await first.session() });
      assert.equal((await client.get('a.example')).status, 403);
      assert.equal(client.socket.isSessionReused(), false);
    });
  }

  test('refuses one of another authority, one that has expired, and one that is its own authority', async () => {
    const expired = authority.issue(['late.test'], { days: -1 });
    const own = new Authority('Clients').issue(['alice.test']);
    for (const issued of [stranger.issue(['bob.test']), expired, own]) {
      assert.equal((await open('a.example', issued).get('a.example')).code, 'CLIENT_CERTIFICATE_REQUIRED');
      const optional = await open('optional.example', issued).get('optional.example');
      assert.deepEqual([optional.status, optional.fields['client-cert']], [200, undefined]);
    }
  });

  test('sends a client to another connection if this one began for a host that asks for others, or for none', async () => {
    for (const [began, issued] of [
      ['a.example', alice],
      ['open.example', alice],
      ['a.example', null],
    ] as const) {
      const { code, status } = await open(began, issued).get('other.example');
      assert.deepEqual([status, code], [421, 'MISDIRECTED']);
    }
    assert.equal((await open('a.example', alice).get('b.example')).status, 200);
  });

  test('optional ones are told to backends, and nothing else as such', async () => {
    const shown = await open('optional.example', alice).get('optional.example');
    assert.deepEqual([shown.status, shown.fields['client-cert']], [200, fieldOf(alice)]);
    const none = await open('optional.example').get('optional.example', 'Client-Cert: :AAAA:');
    assert.deepEqual([none.status, none.fields['client-cert']], [200, undefined]);
    const notAsked = await open('open.example', alice).get('open.example', 'Client-Cert: :AAAA:');
    assert.deepEqual([notAsked.status, notAsked.fields['client-cert']], [200, undefined]);
  });

  test('an auth server gets them as backends do', async () => {
    await option('optional.example', 'forwardAuth', `${backendUrl}/auth`, 'forwardAuthFields', 'X-Any');
    const shown = await open('optional.example', alice).get('optional.example');
    assert.deepEqual([shown.fields['client-cert'], asked['client-cert']], [fieldOf(alice), fieldOf(alice)]);
    const none = await open('optional.example').get('optional.example', 'Client-Cert: :AAAA:', 'Client_Cert: :AAAA:');
    assert.deepEqual([none.status, none.fields['client-cert'], asked['client-cert']], [200, undefined, undefined]);
    assert.equal(Object.keys(asked).includes('client_cert'), false);
    await option('optional.example', 'forwardAuth', 'off');
  });

  test('nobody has one without TLS', async () => {
    const { headers, status } = await ask(proxy.port, 'a.example');
    assert.deepEqual([status, headers['x-hipache-error']], [403, 'CLIENT_CERTIFICATE_REQUIRED']);
    assert.equal((await ask(proxy.port, 'optional.example')).status, 200);
  });

  test('a change of the authorities holds for connections that are open', async () => {
    const client = open('b.example', alice);
    assert.equal((await client.get('b.example')).status, 200);
    const session = await client.session();
    await option('b.example', 'clientCa', `@${stranger.certificateFile}`);
    assert.equal((await client.get('b.example')).code, 'MISDIRECTED');
    assert.equal((await open('b.example', alice, { session }).get('b.example')).code, 'MISDIRECTED');
    assert.equal((await open('b.example', alice).get('b.example')).code, 'CLIENT_CERTIFICATE_REQUIRED');
    assert.equal((await open('b.example', stranger.issue(['bob.test'])).get('b.example')).status, 200);
    await option('b.example', 'clientCa', `@${authority.certificateFile}`);
    assert.equal((await open('b.example', alice).get('b.example')).status, 200);
  });

  test('a value that cannot be used lets nobody in', async () => {
    const { code, stderr } = await home.run(
      'option',
      'set',
      'open.example',
      'clientCert',
      'required',
      'clientCa',
      'none',
    );
    assert.notEqual(code, 0);
    assert.match(stderr, /clientCa/);
    await option('open.example', 'clientCert', 'required');
    assert.equal((await open('open.example', alice).get('open.example')).code, 'CLIENT_CERTIFICATE_REQUIRED');
    await option('open.example', 'clientCert', 'off');
  });
});
