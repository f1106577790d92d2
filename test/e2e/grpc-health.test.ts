import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer, type Http2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { ServerCredentials } from '@grpc/grpc-js';
import { Authority } from '../helpers/authority.ts';
import { freePort } from '../helpers/free-port.ts';
import { GrpcBackend } from '../helpers/grpc-backend.ts';
import { GrpcClient, succeeded } from '../helpers/grpc-client.ts';
import { Health, NOT_SERVING, SERVING } from '../helpers/grpc-health.ts';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { ask } from '../helpers/http-client.ts';
import { until } from '../helpers/until.ts';

describe('the health of backends that speak HTTP/2', { concurrency: true }, () => {
  const authority = new Authority();
  const home = new HipacheHome();
  const clients: GrpcClient[] = [];
  const backends: GrpcBackend[] = [];
  let proxy: HipacheProcess;
  let secure: ServerCredentials;

  before(async () => {
    const issued = authority.issue(['127.0.0.1']);
    secure = ServerCredentials.createSsl(null, [
      { cert_chain: readFileSync(issued.certificateFile), private_key: readFileSync(issued.keyFile) },
    ]);
    home.configure(
      {
        http: { bind: [{ address: '127.0.0.1', port: 0, h2c: true }] },
        backendTls: { ca: authority.certificateFile, alpn: ['h2', 'http/1.1'] },
      },
      { workers: 1, deadBackendTTL: 3600, recoveryProbeSeconds: 0.2 },
    );
    proxy = await home.serve();
  });

  after(async () => {
    for (const each of clients) each.close();
    for (const each of backends) each.stop();
    await home.remove();
    authority.dispose();
  });

  async function backend(options: Parameters<typeof GrpcBackend.start>[0]): Promise<GrpcBackend> {
    const started = await GrpcBackend.start(options);
    backends.push(started);
    return started;
  }

  function client(host: string): GrpcClient {
    const made = new GrpcClient(proxy.port, host);
    clients.push(made);
    return made;
  }

  async function check(host: string, path: string): Promise<void> {
    const options = ['healthPath', path, 'healthInterval', '1s', 'healthDown', '1', 'healthUp', '1'];
    const result = await home.run('option', 'set', host, ...options, '--wait=20');
    assert.equal(result.code, 0, result.stderr);
  }

  const explain = async (host: string): Promise<string> => (await home.run('explain', host)).stdout;

  /** Waits until a backend is marked for this reason. */
  async function marked(host: string, url: string, reason: string): Promise<void> {
    await until(`${reason} at ${url}`, async () =>
      (await explain(host)).split('\n').some((line) => line.includes(url) && line.includes(`: ${reason}, marked by`)),
    );
    const line = `a backend fails its health check host=${host} backend=${url} reason="${reason}"`;
    await until('the log', () => proxy.output.includes(line));
  }

  /** Calls each backend would get some of. */
  async function callMany(grpc: GrpcClient): Promise<void> {
    for (let i = 0; i < 30; i++) succeeded(await grpc.unary('x'));
  }

  for (const [path, service] of [
    ['grpc:', ''],
    ['grpc:my.Service', 'my.Service'],
  ] as const) {
    test(`healthPath ${path}: a server that does not serve gets no calls`, async () => {
      const host = service === '' ? 'server.example' : 'service.example';
      const [one, two] = [new Health(), new Health()];
      for (const health of [one, two]) health.statuses.set(service, SERVING);
      // That of another service does not count.
      one.statuses.set('other', NOT_SERVING);
      const first = await backend({ health: one });
      const second = await backend({ health: two, credentials: secure });
      await home.route('set', host, first.url, `https://${second.address}`);
      const grpc = client(host);
      await check(host, path);
      await callMany(grpc);
      await until('checks', () => one.checks > 1 && two.checks > 1);
      assert.doesNotMatch(await explain(host), /dead until/);
      one.statuses.set(service, NOT_SERVING);
      await marked(host, first.url, 'health check: gRPC: NOT_SERVING');
      const { calls } = first;
      await callMany(grpc);
      assert.equal(first.calls, calls);
      one.statuses.delete(service);
      two.statuses.delete(service);
      await marked(host, `https://${second.address}`, 'health check: gRPC: grpc-status 5 unknown service');
      for (const health of [one, two]) health.statuses.set(service, SERVING);
      await until('no mark', async () => !(await explain(host)).includes('dead until'));
      await until('calls of both', async () => {
        await callMany(grpc);
        return first.calls > calls;
      });
      assert.ok(second.calls > 0);
    });
  }

  test('healthPath grpc: a server without the service, and one without HTTP/2', async () => {
    const grpc = await backend({});
    await home.route('set', 'none.example', grpc.url, `http://${grpc.address}`);
    await check('none.example', 'grpc:');
    await client('none.example').unary('x');
    await marked(
      'none.example',
      `http://${grpc.address}`,
      'health check: gRPC needs a backend h2c://, h2:// or https://',
    );
    const text = 'The server does not implement the method /grpc.health.v1.Health/Check';
    await marked('none.example', grpc.url, `health check: gRPC: grpc-status 12 ${text}`);
  });

  test('healthPath /up: over HTTP/2 without TLS', async () => {
    let isUp = true;
    const server = (name: string): Http2Server =>
      createServer((request, response) => {
        const { authority: asked = '', url } = request;
        if (url !== '/up') response.end(name);
        else response.writeHead(isUp || name === 'two' ? 200 : 503).end(`up at ${asked}`);
      });
    const servers = [server('one'), server('two')];
    const urls: string[] = [];
    for (const each of servers) {
      await new Promise<void>((resolve) => each.listen(0, '127.0.0.1', resolve));
      urls.push(`h2c://127.0.0.1:${(each.address() as AddressInfo).port}`);
    }
    const host = 'up.example';
    await home.route('set', host, ...urls);
    const bodies = async (): Promise<Set<string>> => {
      const all = Array.from({ length: 30 }, async () => (await ask(proxy.port, host)).body);
      return new Set(await Promise.all(all));
    };
    const text = await home.run('option', 'set', host, 'healthText', `up at ${host}`, '--wait=20');
    assert.equal(text.code, 0, text.stderr);
    await check(host, '/up');
    assert.deepEqual(await bodies(), new Set(['one', 'two']));
    isUp = false;
    await marked(host, urls[0] as string, 'health check: status 503');
    assert.deepEqual(await bodies(), new Set(['two']));
    isUp = true;
    await until('requests for both', async () => (await bodies()).size === 2);
    for (const each of servers) each.close();
  });

  for (const scheme of ['h2c', 'h2', 'https']) {
    test(`a gRPC server that was away gets calls again soon: ${scheme}://`, async () => {
      const host = `${scheme}.example`;
      const port = await freePort();
      const credentials = scheme === 'h2c' ? ServerCredentials.createInsecure() : secure;
      const there = await backend({ credentials });
      await home.route('set', host, `${scheme}://127.0.0.1:${port}`, `${scheme}://${there.address}`);
      const grpc = client(host);
      await until('a mark', async () => {
        await callMany(grpc);
        return /dead until .*: BACKEND_CONNECT_REFUSED/.test(await explain(host));
      });
      const back = await backend({ credentials, port });
      await until('its recovery', () => proxy.output.includes(`a backend has recovered host=${host} `));
      await until('calls', async () => {
        await callMany(grpc);
        return back.calls > 0;
      });
    });
  }
});
