import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import {
  type ClientHttp2Session,
  connect,
  createServer as createHttp2Server,
  createSecureServer,
  type Http2Server,
  type Http2ServerRequest,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { Writable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { Authority } from '../helpers/authority.ts';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { until } from '../helpers/until.ts';

const runFile = promisify(execFile);
const host = 'a.example';

/** A response, and how long its body was. */
interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

/** A request by Node's own HTTP/2. */
function ask(session: ClientHttp2Session, path: string, body?: Buffer): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const stream = session.request({ ':path': path, ':method': body === undefined ? 'GET' : 'POST' });
  const parts: Buffer[] = [];
  let status = 0;
  stream.on('response', (fields) => {
    status = Number(fields[':status']);
  });
  stream.on('data', (bytes: Buffer) => parts.push(bytes));
  stream.on('end', () => resolve({ status, body: Buffer.concat(parts) }));
  stream.on('error', reject);
  stream.end(body);
  return promise;
}

/** The ports with TLS, in the order of the configuration. */
function portsOf({ output }: HipacheProcess): number[] {
  return [...output.matchAll(/listening on https:\/\/127\.0\.0\.1:(\d+)\n/g)].map(([, port]) => Number(port));
}

/** In MB: beyond, Node resets new requests of a connection. */
const ample = { maxSessionMemory: 100 };

/** The versions of HTTP of the backends. */
const backends = ['http', 'h2c', 'h2'] as const;

for (const scheme of backends) {
  describe(`HTTP/2 with the clients that people use, and a backend ${scheme}://`, () => withBackend(scheme));
}

function withBackend(scheme: (typeof backends)[number]): void {
  const authority = new Authority();
  const home = new HipacheHome();
  const large = randomBytes(3_000_000);
  let backend: Server | Http2Server;
  let requests = 0;
  let proxy: HipacheProcess;
  let port = 0;

  before(async () => {
    const respond = (request: IncomingMessage | Http2ServerRequest, response: Pick<Writable, 'end'>): void => {
      const hash = createHash('sha256');
      requests++;
      request.on('data', (bytes: Buffer) => hash.update(bytes));
      request.on('end', () => {
        const asked = request.headers[':authority'] ?? request.headers.host;
        if (request.url === '/large') response.end(large);
        else if (request.url === '/slow') setTimeout(() => response.end('slow'), 300);
        else response.end(request.method === 'POST' ? hash.digest('hex') : `${request.url} of ${asked}`);
      });
    };
    const own = authority.issue(['127.0.0.1']);
    if (scheme === 'http') backend = createServer(respond);
    else if (scheme === 'h2c') backend = createHttp2Server(ample, respond);
    else backend = createSecureServer({ ...ample, cert: own.certificate, key: own.key }, respond);
    await new Promise<void>((resolve) => backend.listen(0, '127.0.0.1', resolve));
    const { certificateFile: cert, keyFile: key } = authority.issue([host]);
    const bind = { address: '127.0.0.1', port: 0, cert, key };
    const https = { bind: [bind, { ...bind, alpn: ['http/1.1'] }] };
    const http = { bind: [{ address: '127.0.0.1', port: 0, h2c: true }] };
    home.configure({ https, http, backendTls: { ca: authority.certificateFile } }, { workers: 1 });
    await home.route('set', host, `${scheme}://127.0.0.1:${(backend.address() as AddressInfo).port}`);
    proxy = await home.serve();
    port = await proxy.tlsPort();
  });

  after(async () => {
    await home.remove();
    await new Promise((resolve) => backend.close(resolve));
    authority.dispose();
  });

  /** A session of Node's client. */
  function session(): ClientHttp2Session {
    return connect(`https://${host}:${port}`, {
      ca: authority.certificate,
      servername: host,
      // In MB: the client keeps what it sends.
      maxSessionMemory: 100,
      lookup: (_name, _options, done) => done(null, [{ address: '127.0.0.1', family: 4 }]),
    } as Parameters<typeof connect>[1]);
  }

  test('curl, over TLS and without, up and down', async () => {
    const file = home.path('large');
    writeFileSync(file, large);
    const common = ['--silent', '--show-error', '--cacert', authority.certificateFile];
    const over = async (by: string, at: number, ...options: string[]): Promise<string> => {
      const all = [
        ...common,
        '--resolve',
        `${host}:${at}:127.0.0.1`,
        '--write-out',
        ' HTTP/%{http_version} %{http_code}',
      ];
      const [path = '', ...rest] = options;
      const { stdout } = await runFile('curl', [...all, ...rest, `${by}://${host}:${at}${path}`]);
      return stdout;
    };
    assert.equal(await over('https', port, '/x'), `/x of ${host}:${port} HTTP/2 200`);
    assert.equal(await over('https', port, '/x', '--http1.1'), `/x of ${host}:${port} HTTP/1.1 200`);
    const plain = proxy.port;
    assert.equal(await over('http', plain, '/x', '--http2-prior-knowledge'), `/x of ${host}:${plain} HTTP/2 200`);
    assert.equal(await over('http', plain, '/x', '--http2'), `/x of ${host}:${plain} HTTP/1.1 200`);
    // The second address offers HTTP/1.1 only.
    await until('both addresses', () => portsOf(proxy).length === 2);
    const second = portsOf(proxy)[1] as number;
    assert.equal(await over('https', second, '/x'), `/x of ${host}:${second} HTTP/1.1 200`);
    const sum = createHash('sha256').update(large).digest('hex');
    assert.equal(await over('https', port, '/', '--data-binary', `@${file}`), `${sum} HTTP/2 200`);
    const down = home.path('down');
    assert.equal(await over('https', port, '/large', '--output', down), ' HTTP/2 200');
    await runFile('cmp', [file, down]);
  });

  test("Node's client: many requests at a time, in both directions", async () => {
    const client = session();
    const sum = createHash('sha256').update(large).digest('hex');
    const asked = Array.from({ length: 60 }, async (_, i) => {
      if (i % 10 === 0) assert.deepEqual((await ask(client, '/large')).body.equals(large), true);
      else if (i % 10 === 1) assert.equal((await ask(client, '/', large)).body.toString(), sum);
      else assert.equal((await ask(client, `/${i}`)).body.toString(), `/${i} of ${host}:${port}`);
    });
    await Promise.all(asked);
    client.close();
  });

  test('h2load: every request succeeds, on few connections and many streams', async () => {
    for (const [connections, streams] of [
      [1, 100],
      [8, 16],
      [50, 1],
    ]) {
      const options = ['-n', '2000', '-c', String(connections), '-m', String(streams), '-H', `:authority: ${host}`];
      const { stdout } = await runFile('h2load', [...options, `https://127.0.0.1:${port}/`]);
      assert.match(stdout, /2000 total, 2000 started, 2000 done, 2000 succeeded, 0 failed/);
    }
  });

  test('nghttp shows no error', async () => {
    const { stdout } = await runFile('nghttp', ['-nv', '-H', `:authority: ${host}`, `https://127.0.0.1:${port}/`]);
    assert.match(stdout, /recv \(stream_id=\d+\) :status: 200/);
    assert.doesNotMatch(stdout, /RST_STREAM|error_code=(?!NO_ERROR)/);
  });

  test('the log names the version', async () => {
    await until('the line of HTTP/2', () => /"GET \/x HTTP\/2" 200 /.test(home.read('access.log')));
  });

  test('a stop ends the connections once their requests have ended', async () => {
    const before = requests;
    const client = session();
    const slow = ask(client, '/slow');
    await until('the request', () => requests > before);
    const left = new Promise((resolve) => client.once('goaway', resolve));
    proxy.signal('SIGTERM');
    assert.equal((await slow).body.toString(), 'slow');
    await left;
    assert.equal(await proxy.ended(), 0);
  });
}
