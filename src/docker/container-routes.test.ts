import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readContainer, readList, withNetworkOf } from './container.ts';
import { type Reach, routesOf } from './container-routes.ts';
import { type RoutedContainer, WantedRoutes } from './wanted-routes.ts';

type Bindings = Readonly<Record<string, readonly { HostIp: string; HostPort: string }[] | null>>;

interface Given {
  readonly labels?: Readonly<Record<string, string>>;
  readonly exposed?: readonly string[];
  readonly ports?: Bindings;
  readonly networks?: Readonly<Record<string, string>>;
  readonly mode?: string;
  readonly state?: object;
}

/** A container, described as the engines do. */
function container({
  exposed = [],
  labels = {},
  mode = 'bridge',
  networks = { bridge: '10.0.0.2' },
  ports = {},
  state,
}: Given) {
  return readContainer({
    Id: 'c1',
    Name: '/web',
    Created: '2026-11-29T19:46:52.574515535Z',
    State: { Running: true, StartedAt: '2026-11-29T19:46:53Z', ...state },
    Config: {
      Labels: { 'hipache.host': 'a.test', ...labels },
      ExposedPorts: Object.fromEntries(exposed.map((port) => [port, {}])),
    },
    HostConfig: { NetworkMode: mode },
    NetworkSettings: {
      Networks: Object.fromEntries(Object.entries(networks).map(([name, IPAddress]) => [name, { IPAddress }])),
      Ports: ports,
    },
  });
}

function target(given: Given, reach: Partial<Reach> = {}): string {
  const { problems, routes } = routesOf(container(given), { address: null, network: null, ...reach });
  return routes[0]?.url ?? problems.join('; ');
}

const at = (HostIp: string, HostPort: string): Bindings => ({ '80/tcp': [{ HostIp, HostPort }] });

const cases: readonly (readonly [what: string, given: Given, reach: Partial<Reach>, expected: string | RegExp])[] = [
  ['the only port that is exposed', { exposed: ['80/tcp', '53/udp'] }, {}, 'http://10.0.0.2:80'],
  [
    'the port of the label',
    { exposed: ['80/tcp', '90/tcp'], labels: { 'hipache.port': '91' } },
    {},
    'http://10.0.0.2:91',
  ],
  ['several ports', { exposed: ['90/tcp', '80'] }, {}, /exposes the ports 80, 90; set the label hipache\.port to one/],
  ['no port', {}, {}, /exposes no port; set the label hipache\.port$/],
  ['an address of IPv6', { exposed: ['80/tcp'], networks: { a: 'fd00::2' } }, {}, 'http://[fd00::2]:80'],
  [
    'several networks',
    { exposed: ['80'], networks: { b: '10.0.1.2', a: '10.0.0.2' } },
    {},
    /networks a, b; set the label hipache\.network/,
  ],
  [
    'the network of the command',
    { exposed: ['80'], networks: { b: '10.0.1.2', a: '10.0.0.2' } },
    { network: 'b' },
    'http://10.0.1.2:80',
  ],
  [
    'the network of the label',
    { exposed: ['80'], networks: { b: '10.0.1.2', a: '10.0.0.2' }, labels: { 'hipache.network': 'a' } },
    { network: 'b' },
    'http://10.0.0.2:80',
  ],
  [
    'another network',
    { exposed: ['80'], labels: { 'hipache.network': 'x' } },
    {},
    /not in the network x; it has an address in bridge/,
  ],
  [
    'the network of the machine',
    { mode: 'host', networks: {}, labels: { 'hipache.port': '81' } },
    {},
    'http://127.0.0.1:81',
  ],
  [
    'the same at an address',
    { mode: 'host', networks: {}, labels: { 'hipache.port': '81' } },
    { address: '192.0.2.1' },
    'http://192.0.2.1:81',
  ],
  ['no network', { mode: 'none', networks: {}, exposed: ['80'] }, {}, /its network mode is none/],
  [
    'a network of another one that is gone',
    { mode: 'container:x', networks: {}, exposed: ['80'] },
    {},
    /which is not there/,
  ],
  ['a published port without an address', { networks: {}, ports: at('', '8080') }, {}, 'http://127.0.0.1:8080'],
  [
    'a published port at an address',
    { ports: at('0.0.0.0', '8080') },
    { address: '192.0.2.1' },
    'http://192.0.2.1:8080',
  ],
  ['a published port at a name', { ports: at('::', '8080') }, { address: 'web-1.lan' }, 'http://web-1.lan:8080'],
  [
    'one that is published elsewhere',
    { ports: at('192.0.2.7', '8080') },
    { address: '192.0.2.1' },
    'http://192.0.2.7:8080',
  ],
  [
    'one for the machine alone',
    { ports: at('127.0.0.1', '8080') },
    { address: '192.0.2.1' },
    /published on 127\.0\.0\.1 alone, which others cannot reach/,
  ],
  [
    'one that is not published',
    { exposed: ['80'] },
    { address: '192.0.2.1' },
    /port 80 of the container is not published.*: with --address$/,
  ],
  ['nowhere at all', { exposed: ['80'], networks: {} }, {}, /not published.*: it has no address in a network/],
  [
    'published by its label',
    { ports: at('', '8080'), labels: { 'hipache.published': 'true' } },
    {},
    'http://127.0.0.1:8080',
  ],
  [
    'in its network by its label',
    { ports: at('', '8080'), labels: { 'hipache.published': 'false' } },
    { address: '192.0.2.1' },
    'http://10.0.0.2:80',
  ],
  [
    'with a scheme and a weight',
    { exposed: ['80'], labels: { 'hipache.scheme': 'https', 'hipache.weight': '2' } },
    {},
    'https://10.0.0.2:80#weight=2',
  ],
];

for (const [what, given, reach, expected] of cases) {
  test(`where a route leads: ${what}`, () => {
    if (typeof expected === 'string') assert.equal(target(given, reach), expected);
    else assert.match(target(given, reach), expected);
  });
}

test('a container that shares the network of another one is reached there, at its own port', () => {
  const own = container({ mode: 'container:c2', networks: {}, exposed: ['81/tcp'] });
  const other = container({ exposed: ['80/tcp', '81/tcp'], ports: { '81/tcp': [{ HostIp: '', HostPort: '8081' }] } });
  const shared = withNetworkOf(own, other);
  const url = (reach: Partial<Reach>) => routesOf(shared, { address: null, network: null, ...reach }).routes[0]?.url;
  assert.deepEqual([url({}), url({ address: '192.0.2.1' })], ['http://10.0.0.2:81', 'http://192.0.2.1:8081']);
});

test('only a container that runs, and is not about to end, runs', () => {
  const isRunning = (state: object): boolean => container({ state }).isRunning;
  assert.equal(isRunning({ Status: 'running' }), true);
  assert.equal(isRunning({}), true);
  for (const state of [
    ...[{ Running: false }, { Paused: true }, { Restarting: true }, { Dead: true }, { Status: 'stopping' }],
    { Status: 'paused' },
  ]) {
    assert.equal(isRunning(state), false);
  }
  assert.equal(container({ state: { Health: { Status: 'starting' } } }).health, 'starting');
  assert.equal(container({ state: { Health: { Status: '' } } }).health, 'none');
  assert.throws(() => readContainer({ Id: 'x' }), /the engine describes a container in another way: State/);
});

test('an entry of the list differs if its health or its state does, and not with the time', () => {
  const print = (Status: string, State = 'running') => readList([{ Id: 'a', Status, State, Labels: null }])[0]?.print;
  assert.equal(print('Up 2 seconds (healthy)'), print('Up 3 minutes (healthy)'));
  assert.notEqual(print('Up 2 seconds (healthy)'), print('Up 2 seconds (health: starting)'));
  assert.notEqual(print('Up 2 seconds'), print('Up 2 seconds', 'paused'));
});

test('containers of one host share its route, and the oldest decides where options contradict each other', () => {
  const one = (id: string, createdMs: number, options: Record<string, string>): RoutedContainer => {
    return { id, name: `n-${id}`, createdMs, routes: [{ host: 'a.test', url: `http://${id}:80`, options }] };
  };
  const routes = new WantedRoutes();
  assert.deepEqual(routes.set(one('new', 2, { allow: 'any', hold: '5s' })), ['a.test']);
  assert.deepEqual(routes.set(one('old', 1, { allow: '10.0.0.0/8' })), ['a.test']);
  assert.deepEqual(routes.set(one('old', 1, { allow: '10.0.0.0/8' })), []);
  assert.deepEqual(routes.wanted('a.test'), {
    route: {
      host: 'a.test',
      backends: ['http://old:80', 'http://new:80'],
      options: { allow: '10.0.0.0/8', hold: '5s' },
    },
    contradictions: [{ host: 'a.test', option: 'allow', container: 'n-new', holder: 'n-old' }],
  });
  assert.deepEqual(routes.namesOf('a.test'), ['n-new', 'n-old']);
  assert.deepEqual(routes.delete('old'), ['a.test']);
  assert.deepEqual(routes.delete('old'), []);
  assert.deepEqual(routes.wanted('a.test').route.options, { allow: 'any', hold: '5s' });
  routes.delete('new');
  assert.deepEqual([routes.hosts, routes.wanted('a.test').route.backends], [[], []]);
});
