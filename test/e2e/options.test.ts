import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { optionDefinitions } from '../../src/policy/option-schema.ts';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { type AskOptions, ask, type ClientResponse } from '../helpers/http-client.ts';
import { fleetStores } from '../helpers/long-case.ts';
import { RedisServer } from '../helpers/redis-server.ts';

/** A value of an option, set by the command line, and what it does to a request at every instance. */
interface Trial {
  readonly options: Readonly<Record<string, string>>;
  readonly request?: AskOptions;
  readonly shows: (response: ClientResponse, request: IncomingFields) => unknown;
  readonly expected: unknown;
}

type IncomingFields = Readonly<Record<string, string | string[] | undefined>>;

const password = 'ann:$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW';
const status = ({ status: code }: ClientResponse): unknown => code;
const statusAndLocation = ({ headers, status: code }: ClientResponse): unknown => [code, headers['location']];
const behindTls = { headers: { 'x-forwarded-proto': 'https' } };

const webSocket = {
  headers: {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
  },
};

/** Of options whose effect takes several requests, backends or routes, they say only that a host may have them. */
const trials: readonly Trial[] = [
  { options: { allow: '10.0.0.0/8' }, shows: status, expected: 403 },
  { options: { deny: '127.0.0.0/8' }, shows: status, expected: 403 },
  { options: { accessLog: '0.5' }, shows: status, expected: 200 },
  { options: { basicAuth: password }, shows: status, expected: 401 },
  {
    options: { basicAuth: password },
    request: { headers: { authorization: `Basic ${Buffer.from('ann:U*U').toString('base64')}` } },
    shows: status,
    expected: 200,
  },
  // What `forwardAuthFields` does: option-effects.test.ts.
  {
    options: { forwardAuth: 'http://127.0.0.1:9/', forwardAuthFields: 'Remote-User', forwardAuthTimeout: '1s' },
    shows: ({ headers, status: code }) => [code, headers['x-hipache-error']],
    expected: [502, 'AUTH_SERVER_FAILED'],
  },
  {
    options: { https: 'redirect' },
    request: { path: '/a?b' },
    shows: statusAndLocation,
    expected: [301, 'https://a.example/a?b'],
  },
  {
    options: { hsts: '1d' },
    request: behindTls,
    shows: ({ headers }) => headers['strict-transport-security'],
    expected: 'max-age=86400',
  },
  {
    options: { redirect: 'b.example', redirectStatus: '307' },
    shows: statusAndLocation,
    expected: [307, 'http://b.example/'],
  },
  {
    options: { maintenance: 'on', retryAfter: '7s' },
    shows: ({ headers, status: code }) => [code, headers['retry-after']],
    expected: [503, '7'],
  },
  // What `upgrades` does: option-effects.test.ts.
  { options: { upgrades: 'none', websockets: 'off' }, request: webSocket, shows: status, expected: 403 },
  { options: { maintenance: 'on', maintenanceAllow: '127.0.0.1' }, shows: status, expected: 200 },
  { options: { errorPage: '<p>{code}', maintenance: 'on' }, shows: ({ body }) => body, expected: '<p>MAINTENANCE' },
  { options: { backendHost: 'app.internal' }, shows: (_response, { host }) => host, expected: 'app.internal' },
  { options: { requestFields: 'X-Tenant: 7' }, shows: (_response, fields) => fields['x-tenant'], expected: '7' },
  {
    options: { responseFields: 'X-Powered-By:' },
    shows: ({ headers }) => headers['x-powered-by'],
    expected: undefined,
  },
  { options: { paths: '/api' }, request: { path: '/api/x' }, shows: status, expected: 400 },
  // What `stripPath` does: option-effects.test.ts.
  { options: { paths: '/api', stripPath: 'on' }, request: { path: '/apis' }, shows: status, expected: 200 },
  {
    options: { rate: '1/h', rateBurst: '1', rateBy: 'header:X-Key' },
    // The worker does not matter: none has more than one token for the key of a trial.
    request: { headers: { 'x-key': 'one' } },
    shows: ({ headers, status: code }) => code === 200 || (code === 429 && Number(headers['retry-after']) > 0),
    expected: true,
  },
  // What `holdMax`, `holdBytesMax` and `releasePerSecond` do: option-effects.test.ts.
  {
    options: { pause: 'on', hold: '200ms', holdMax: '5', holdBytesMax: '1k', releasePerSecond: '10' },
    shows: ({ headers, status: code }) => [code, headers['x-hipache-error']],
    expected: [503, 'HOST_ASLEEP'],
  },
  // What `queueMax` and `queueTimeout` do: option-effects.test.ts.
  {
    options: { wake: 'event', wakeKey: 'key', idleAfter: '1h', queueMax: '5', queueTimeout: '1s' },
    shows: status,
    expected: 200,
  },
  { options: { requestBodyMax: '3' }, request: { method: 'POST', body: 'four' }, shows: status, expected: 413 },
  { options: { responseTimeout: '300ms', retriesMax: '0' }, request: { path: '/slow' }, shows: status, expected: 504 },
  {
    options: { responseTimeout: '300ms', retryTimeouts: 'on', retryFor: '0s' },
    request: { path: '/slow' },
    shows: status,
    expected: 504,
  },
  {
    options: { sticky: 'backend', stickyKey: 'key', stickyAttributes: 'Path=/x' },
    shows: ({ headers }) => /^backend=[0-9a-f]{16}; Path=\/x$/.test(String(headers['set-cookie'])),
    expected: true,
  },
  // What these do: option-effects.test.ts.
  { options: { balance: 'hash', hashBy: 'header:X-User', slowStart: '1s' }, shows: status, expected: 200 },
  {
    options: {
      ...{ healthPath: '/up?a', healthInterval: '1h', healthTimeout: '1s', healthStatus: '200-399', healthText: 'ok' },
      ...{ healthDown: '1', healthUp: '1' },
    },
    shows: status,
    expected: 200,
  },
  // What these do: option-effects.test.ts.
  {
    options: { requestsMax: '1', tunnelsMax: '1', tunnelIdle: '1h', responseIdle: '1h', connectTimeout: '10s' },
    shows: status,
    expected: 200,
  },
];

for (const name of fleetStores) {
  describe(`options of a host, set by the command line, with two instances of two workers on ${name}`, () => {
    let home: HipacheHome;
    let server: RedisServer | null;
    let instances: readonly HipacheProcess[];
    let backend: Server;
    let fields: IncomingFields = {};

    before(async () => {
      home = new HipacheHome();
      server = name === 'redis' ? await RedisServer.start() : null;
      backend = createServer((request, response) => {
        fields = request.headers;
        if (request.url === '/slow') return;
        request.resume().on('end', () => response.setHeader('X-Powered-By', 'test').end('ok'));
      });
      await new Promise<void>((resolve) => backend.listen(0, '127.0.0.1', resolve));
      home.configure({ driver: server?.url ?? home.driver }, { workers: 2, trustedProxies: ['127.0.0.1'] });
      instances = [await home.serve(), await home.serve()];
      const { port } = backend.address() as AddressInfo;
      await home.route('set', 'a.example', `http://127.0.0.1:${port}`, '--wait=20');
    });

    after(async () => {
      await home.remove();
      backend.closeAllConnections();
      backend.close();
      await server?.remove();
    });

    const option = async (...args: string[]) => {
      const result = await home.run('option', ...args, '--wait=20');
      assert.equal(result.code, 0, result.stderr);
    };

    it('are live everywhere when the command ends, and gone when they are removed', async () => {
      for (const { expected, options, request, shows } of trials) {
        await option('set', 'a.example', ...Object.entries(options).flat());
        for (const { port } of instances) {
          for (let i = 0; i < 4; i++) {
            const response = await ask(port, 'a.example', request);
            assert.deepEqual(shows(response, fields), expected, JSON.stringify(options));
          }
        }
        await option('unset', 'a.example', '--all');
        for (const { port } of instances) assert.equal((await ask(port, 'a.example')).status, 200);
      }
    });

    it('of a wildcard without a route are those of the hosts that it covers', async () => {
      await option('set', '*.example', 'https', 'redirect');
      for (const { port } of instances) assert.equal((await ask(port, 'a.example')).status, 301);
      await option('set', 'a.example', 'https', 'off');
      for (const { port } of instances) assert.equal((await ask(port, 'a.example')).status, 200);
      await option('unset', 'a.example', '--all');
      await option('unset', '*.example', '--all');
      for (const { port } of instances) assert.equal((await ask(port, 'a.example')).status, 200);
    });

    it('leave other hosts alone, and hold while the store is away', async () => {
      await option('set', 'a.example', 'maintenance', 'on');
      for (const { port } of instances) assert.equal((await ask(port, 'a.example')).status, 503);
      if (server !== null) {
        await server.kill();
        for (const { port } of instances) assert.equal((await ask(port, 'a.example')).status, 503);
      }
    });
  });
}

it('every option is tried', () => {
  // `tls` needs an authority: ordered-certificates.test.ts.
  const tried = new Set(['tls', 'clientCert', 'clientCa', ...trials.flatMap(({ options }) => Object.keys(options))]);
  assert.deepEqual(
    [...optionDefinitions.keys()].filter((option) => !tried.has(option)),
    [],
  );
});
