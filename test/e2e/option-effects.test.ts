import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { DeafBackend } from '../helpers/deaf-backend.ts';
import { EchoBackend } from '../helpers/echo-tunnels.ts';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { metricsUrl, scrape } from '../helpers/metrics.ts';
import type { RawClient } from '../helpers/raw-client.ts';
import { RedisServer } from '../helpers/redis-server.ts';
import { until } from '../helpers/until.ts';
import { WorkerConnections } from '../helpers/worker-connections.ts';

/** What one option does: it alone is set and removed, and whatever else its host needs for it stays. */
interface Trial {
  readonly option: string;
  readonly value: string;
  readonly backends: readonly BackendName[];
  /** Options that its host has all the time. The name of a backend stands for its URL. */
  readonly others?: Readonly<Record<string, string>>;
  /** A prefix of the host that has the option, and the same backends. */
  readonly prefix?: string;
  /** Whether there is a second host to compare with, which has the option all the time, with a somewhat longer time. */
  readonly isCompared?: boolean;
  /** Whether it counts requests that wait in the proxy: no other trial may go on meanwhile. */
  readonly counts?: boolean;
  /** What happens, in a few words. */
  readonly observe: (rig: Rig, host: string) => Promise<string>;
  readonly set: string;
  readonly unset: string;
}

type BackendName = 'site' | 'one' | 'two' | 'three' | 'echo' | 'deaf';

interface Sent {
  readonly path?: string;
  /** Lines of the head. */
  readonly lines?: readonly string[];
  readonly body?: string;
}

interface Instance {
  readonly proxy: HipacheProcess;
  readonly connections: WorkerConnections;
}

const hostOf = (option: string): string => `${option.toLowerCase()}.example`;
const comparedWith = (host: string): string => `compared-${host}`;
const handshake = [
  ...['Connection: Upgrade', 'Upgrade: websocket'],
  ...['Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='],
];
const upgrade = ['Connection: Upgrade', 'Upgrade: tcp'];
const paused = { pause: 'on', hold: '1h' };
const [short, longer] = ['200ms', '500ms'];
/** Times that no test waits for, for those hosts that have none of their own. */
const patient = { queueTimeout: '10m', connectTimeout: '1m', tunnelIdle: '1h', responseIdle: '1h' };
/** In each worker. */
const requestsBalanced = 100;
const requestsPaused = 12;
const users = 16;

const trials: readonly Trial[] = [
  {
    ...{ option: 'stripPath', value: 'on', backends: ['site'], prefix: '/api' },
    observe: (rig, host) => rig.inEach((visit) => visit.ask(host, { path: '/api/x' })),
    ...{ set: '/x', unset: '/api/x' },
  },
  {
    ...{ option: 'upgrades', value: 'tcp', backends: ['site'] },
    observe: (rig, host) => rig.inEach((visit) => visit.ask(host, { path: '/upgrade', lines: upgrade })),
    ...{ set: 'tcp', unset: 'none' },
  },
  {
    ...{ option: 'forwardAuthFields', value: 'Remote-User', backends: ['site'], others: { forwardAuth: 'site' } },
    observe: (rig, host) => rig.inEach((visit) => visit.ask(host, { path: '/user', lines: ['Remote-User: eve'] })),
    ...{ set: 'ann', unset: 'eve' },
  },
  {
    ...{ option: 'balance', value: 'hash', backends: ['one', 'two', 'three'], others: { hashBy: 'header:X-User' } },
    observe: backendsOfUsers,
    ...{ set: 'one of each user', unset: 'several of a user' },
  },
  {
    ...{ option: 'hashBy', value: 'header:X-User', backends: ['one', 'two', 'three'], others: { balance: 'hash' } },
    observe: backendsOfUsers,
    ...{ set: 'one of each user', unset: 'one of all users' },
  },
  {
    // "two" comes when every worker knows the route.
    ...{ option: 'slowStart', value: '1h', backends: ['one'] },
    observe: shareOfNew,
    ...{ set: 'few', unset: 'half' },
  },
  {
    ...{ option: 'tunnelsMax', value: '1', backends: ['echo'] },
    observe: (rig, host) =>
      rig.inEach(async (visit) => {
        const [first, second] = [
          await visit.send(host, { lines: handshake }),
          await visit.send(host, { lines: handshake }),
        ];
        await until('the responses', () => first.statuses.length > 0 && second.statuses.length > 0);
        return [...first.statuses, ...second.statuses].sort().join(', ');
      }),
    ...{ set: '101, 503', unset: '101, 101' },
  },
  {
    ...{ option: 'tunnelIdle', value: short, backends: ['echo'], isCompared: true },
    observe: (rig, host) => rig.inEach((visit) => endsFirst(visit, host, { lines: handshake }, '101')),
    ...{ set: 'ends', unset: 'lasts' },
  },
  {
    ...{ option: 'responseIdle', value: short, backends: ['site'], isCompared: true },
    observe: (rig, host) => rig.inEach((visit) => endsFirst(visit, host, { path: '/part' }, 'part')),
    ...{ set: 'ends', unset: 'lasts' },
  },
  {
    ...{ option: 'connectTimeout', value: short, backends: ['deaf'], isCompared: true },
    observe: (rig, host) => rig.inEach((visit) => endsFirst(visit, host)),
    ...{ set: 'ends', unset: 'lasts' },
  },
  {
    ...{ option: 'forwardAuthTimeout', value: short, backends: ['site'], isCompared: true },
    others: { forwardAuth: 'deaf' },
    observe: (rig, host) => rig.inEach((visit) => endsFirst(visit, host)),
    ...{ set: 'ends', unset: 'lasts' },
  },
  {
    ...{ option: 'queueTimeout', value: short, backends: ['site'], isCompared: true },
    others: { requestsMax: '1', queueMax: '1' },
    observe: (rig, host) =>
      rig.inEach(async (visit) => {
        await visit.occupy(host);
        await visit.occupy(comparedWith(host));
        return endsFirst(visit, host);
      }),
    ...{ set: 'ends', unset: 'lasts' },
  },
  {
    ...{ option: 'requestsMax', value: '1', backends: ['site'], counts: true },
    observe: (rig, host) => rig.inEachInTurn((visit) => fates(visit, host, '', '')),
    ...{ set: 'served, 503', unset: 'served, served' },
  },
  {
    ...{ option: 'queueMax', value: '1', backends: ['site'], others: { requestsMax: '1' }, counts: true },
    observe: (rig, host) => rig.inEachInTurn((visit) => fates(visit, host, '', '', '')),
    ...{ set: 'served, waits, 503', unset: 'served, 503, 503' },
  },
  {
    ...{ option: 'holdMax', value: '1', backends: ['site'], others: paused, counts: true },
    observe: (rig, host) => rig.inEachInTurn((visit) => fates(visit, host, '', '')),
    ...{ set: 'waits, 503', unset: 'waits, waits' },
  },
  {
    ...{ option: 'holdBytesMax', value: '10', backends: ['site'], others: paused, counts: true },
    observe: (rig, host) => rig.inEachInTurn((visit) => fates(visit, host, 'ten bytes.', '1')),
    ...{ set: 'waits, 503', unset: 'waits, waits' },
  },
  {
    ...{ option: 'releasePerSecond', value: '1', backends: ['site'], others: paused, counts: true },
    observe: release,
    ...{ set: 'one after the other', unset: 'all at once' },
  },
];

/** Which backends serve the requests of users, in all workers. */
async function backendsOfUsers(rig: Rig, host: string): Promise<string> {
  const found = Array.from({ length: users }, () => new Set<string>());
  await rig.inEach(async (visit) => {
    for (const [user, backends] of found.entries()) backends.add(await visit.ask(host, { lines: [`X-User: ${user}`] }));
    return '';
  });
  if (found.some(({ size }) => size > 1)) return 'several of a user';
  return new Set(found.flatMap((some) => [...some])).size > 1 ? 'one of each user' : 'one of all users';
}

/** How many of the requests get the newer one of two backends. */
async function shareOfNew(rig: Rig, host: string): Promise<string> {
  let all = 0;
  let served = 0;
  await rig.inEach(async (visit) => {
    for (let i = 0; i < requestsBalanced; i++, all++) if ((await visit.ask(host)) === 'two') served++;
    return '';
  });
  // A share of 1/11 or of 1/2: the bounds are more than five standard deviations away.
  if (served > 0 && served < all / 4) return 'few';
  return Math.abs(served / all - 1 / 2) < 1 / 8 ? 'half' : `${served} of ${all}`;
}

/** Whether an exchange ends before one that began later, on the host that is compared. @param start of its response. */
async function endsFirst(visit: Visit, host: string, sent: Sent = {}, start = ''): Promise<string> {
  const tried = await visit.send(host, sent);
  await tried.expect(start);
  const other = await visit.send(comparedWith(host), sent);
  await until('an end', () => isOver(tried) || isOver(other));
  // Had the first one ended before, its end would be here after a round trip.
  if (!isOver(tried)) await visit.ask(hostOf('upgrades'));
  return isOver(tried) ? 'ends' : 'lasts';
}

function isOver({ closed, ended, statuses }: RawClient): boolean {
  return ended || closed || statuses.some((status) => status >= 400);
}

/** What becomes of requests with these bodies, one after the other. */
async function fates(visit: Visit, host: string, ...bodies: readonly string[]): Promise<string> {
  const all: string[] = [];
  for (const body of bodies) all.push(await visit.fate(host, body));
  return all.join(', ');
}

/** How requests go on that wait while the host is paused. It is paused again in the end. */
async function release(rig: Rig, host: string): Promise<string> {
  const seen = await rig.visitAll(async (visits) => {
    const clients = await Promise.all(
      visits.map(async (visit) => {
        const own: RawClient[] = [];
        while (own.length < requestsPaused) own.push(await visit.send(host));
        return own;
      }),
    );
    const waiting = () => Promise.all(rig.instances.map(requestsWaiting));
    await until('the requests to wait', async () => (await waiting()).every((count) => count === 2 * requestsPaused));
    const resumed = rig.run(['resume', host]);
    await until('a response of each worker', () => clients.every((own) => own.some((one) => one.statuses.length > 0)));
    const left = await waiting();
    await resumed;
    return left;
  });
  await rig.run(['pause', host]);
  if (seen.every((count) => count === 0)) return 'all at once';
  // More than one worker can have.
  return seen.every((count) => count > requestsPaused) ? 'one after the other' : `${seen.join(', ')} wait`;
}

async function requestsWaiting({ proxy }: Instance): Promise<number> {
  return (await scrape(metricsUrl(proxy.output))).get('hipache_requests_waiting') ?? Number.NaN;
}

/** What a trial does in one worker. Its connections end with it. */
class Visit {
  private readonly rig: Rig;
  private readonly instance: Instance;
  private readonly worker: number;
  private readonly clients: RawClient[] = [];
  /** Has the requests of `ask`, one after the other. */
  private asking: RawClient | null = null;

  constructor(rig: Rig, instance: Instance, worker: number) {
    this.rig = rig;
    this.instance = instance;
    this.worker = worker;
  }

  /** Sends a request on a connection of its own. */
  async send(host: string, sent: Sent = {}): Promise<RawClient> {
    const client = await this.connect();
    this.clients.push(client);
    client.send(textOf(host, sent));
    return client;
  }

  /** The body of a response. */
  async ask(host: string, sent: Sent = {}): Promise<string> {
    const client = this.asking ?? (await this.connect());
    this.asking = client;
    client.received = '';
    client.send(textOf(host, sent));
    const response = /^[\s\S]*\r\nContent-Length: (\d+)\r\n(?:[^\r]+\r\n)*\r\n([\s\S]*)$/i;
    let body: string | undefined;
    await until(`the response for ${host}`, () => {
      const [, length, rest = ''] = response.exec(client.received) ?? [];
      if (rest.length === Number(length)) body = rest;
      return body !== undefined;
    });
    return body ?? '';
  }

  /** Sends a request that the site does not answer, and waits until it is there. */
  async occupy(host: string): Promise<void> {
    const path = this.rig.heldPath();
    await this.send(host, { path });
    await until(`${path} at the site`, () => this.rig.held.has(path));
  }

  /** What becomes of a request to which the site does not respond: `served`, if it gets it, `waits`, or its status. */
  async fate(host: string, body: string): Promise<string> {
    const path = this.rig.heldPath();
    const before = await requestsWaiting(this.instance);
    const client = await this.send(host, { path, body });
    let fate = '';
    await until(`the fate of ${path}`, async () => {
      if (this.rig.held.has(path)) fate = 'served';
      else if (client.statuses.length > 0) fate = client.statuses.join(' ');
      else if ((await requestsWaiting(this.instance)) > before) fate = 'waits';
      return fate !== '';
    });
    return fate;
  }

  end(): void {
    for (const client of this.clients) client.close();
    if (this.asking !== null) this.instance.connections.giveBack(this.worker, this.asking);
  }

  private connect(): Promise<RawClient> {
    return this.instance.connections.connect(this.worker);
  }
}

function textOf(host: string, { body = '', lines = [], path = '/' }: Sent): string {
  const [method, ...length] = body === '' ? ['GET'] : ['POST', `Content-Length: ${body.length}`];
  return `${[`${method} ${path} HTTP/1.1`, `Host: ${host}`, ...lines, ...length].join('\r\n')}\r\n\r\n${body}`;
}

/** Two instances of two workers, with hosts and backends for all trials. */
class Rig {
  readonly home = new HipacheHome();
  instances: readonly Instance[] = [];
  /** Paths of requests that the site has, and does not answer. */
  readonly held = new Set<string>();
  private heldPaths = 0;
  private readonly urls = new Map<string, string>();
  private readonly stops: (() => unknown)[] = [];

  async start(driver: string | null): Promise<void> {
    await this.startBackends();
    // Connections are made long before they have a request.
    const limits = { headTimeoutSeconds: 3600, keepAliveSeconds: 3600 };
    this.home.configure({ driver: driver ?? this.home.driver, limits, metrics: { port: 0 } }, { workers: 2 });
    await this.importHosts();
    const proxies = await Promise.all([this.home.serve(), this.home.serve()]);
    this.instances = proxies.map((proxy) => ({ proxy, connections: new WorkerConnections(proxy) }));
    assert.deepEqual(
      this.instances.map(({ connections }) => connections.workers.length),
      [2, 2],
    );
    const host = hostOf('slowStart');
    assert.equal(await this.inEach((visit) => visit.ask(host)), 'one');
    await this.run(['route', 'add', host, this.urlOf('two')]);
  }

  async remove(): Promise<void> {
    for (const { connections } of this.instances) connections.close();
    await this.home.remove();
    for (const stop of this.stops) await stop();
  }

  /** Runs commands at the same time. They end when their changes are live. */
  async run(...commands: readonly (readonly string[])[]): Promise<void> {
    for (const result of await Promise.all(commands.map((args) => this.home.run(...args, '--wait=20')))) {
      assert.equal(result.code, 0, result.stderr);
    }
  }

  /** What happens in all workers at the same time; more than one thing if they differ. */
  inEach(observe: (visit: Visit) => Promise<string>): Promise<string> {
    return this.visitAll(async (visits) => [...new Set(await Promise.all(visits.map(observe)))].join(' | '));
  }

  /** The same in one worker of an instance after the other. No request waits in the end. */
  async inEachInTurn(observe: (visit: Visit) => Promise<string>): Promise<string> {
    const seen = new Set<string>();
    const visitWorkersOf = async (instance: Instance) => {
      for (const worker of instance.connections.workers) {
        const visit = new Visit(this, instance, worker);
        try {
          seen.add(await observe(visit));
        } finally {
          visit.end();
        }
        await until('no request to wait', async () => (await requestsWaiting(instance)) === 0);
      }
    };
    await Promise.all(this.instances.map(visitWorkersOf));
    return [...seen].join(' | ');
  }

  async visitAll<Result>(observe: (visits: readonly Visit[]) => Promise<Result>): Promise<Result> {
    const visits = this.instances.flatMap((instance) =>
      instance.connections.workers.map((worker) => new Visit(this, instance, worker)),
    );
    try {
      return await observe(visits);
    } finally {
      for (const visit of visits) visit.end();
    }
  }

  heldPath(): string {
    return `/held/${this.heldPaths++}`;
  }

  private urlOf(name: string): string {
    return this.urls.get(name) ?? name;
  }

  private async startBackends(): Promise<void> {
    const site = await HttpBackend.start('site', (request, response) => {
      const { headers, url = '' } = request.resume();
      if (url.startsWith('/held/')) this.held.add(url);
      else if (url === '/part') response.writeHead(200, { 'Content-Length': '9' }).write('part');
      else if (url === '/user') response.end(headers['remote-user']);
      else if (url === '/upgrade') response.end(headers.upgrade ?? 'none');
      // It is the auth server as well.
      else response.setHeader('Remote-User', 'ann').end(url);
    });
    const named = await Promise.all(['one', 'two', 'three'].map((name) => HttpBackend.start(name)));
    const echo = await EchoBackend.start();
    const deaf = await DeafBackend.start();
    const all = { site, one: named[0], two: named[1], three: named[2], echo, deaf };
    for (const [name, backend] of Object.entries(all)) {
      this.urls.set(name, backend?.url ?? '');
      this.stops.push(() => backend?.stop());
    }
  }

  /** Hosts with everything but the option that is tried. */
  private async importHosts(): Promise<void> {
    const records: unknown[] = [{ options: { pattern: '*.example', options: patient } }];
    const add = (pattern: string, backends: readonly string[], options: Readonly<Record<string, string>>) => {
      records.push({ options: { pattern, options } });
      records.push({ route: { pattern, id: pattern, backends: backends.map((name) => this.urlOf(name)) } });
    };
    for (const { backends, isCompared = false, option, others = {}, prefix } of trials) {
      const options = Object.fromEntries(Object.entries(others).map(([name, value]) => [name, this.urlOf(value)]));
      const host = hostOf(option);
      add(host, backends, prefix === undefined ? options : { ...options, paths: prefix });
      if (prefix !== undefined) add(`${host}${prefix}`, backends, {});
      if (isCompared) add(comparedWith(host), backends, { ...options, [option]: longer });
    }
    const file = this.home.path('hosts.jsonl');
    writeFileSync(file, records.map((record) => `${JSON.stringify(record)}\n`).join(''));
    const { code, stderr } = await this.home.run('route', 'import', file);
    assert.equal(code, 0, stderr);
  }
}

for (const name of ['redis', 'sqlite'] as const) {
  describe(`what options do, with two instances of two workers on ${name}`, () => {
    const rig = new Rig();
    let server: RedisServer | null = null;

    before(async () => {
      server = name === 'redis' ? await RedisServer.start() : null;
      await rig.start(server?.url ?? null);
    });

    after(async () => {
      await rig.remove();
      await server?.remove();
    });

    const observeAll = async (expected: 'set' | 'unset') => {
      const observe = async (trial: Trial) => {
        const seen = await trial.observe(rig, hostOf(trial.option));
        assert.equal(seen, trial[expected], `${trial.option} ${expected}`);
      };
      await Promise.all(trials.filter(({ counts = false }) => !counts).map(observe));
      for (const trial of trials) if (trial.counts === true) await observe(trial);
    };
    const patternOf = ({ option, prefix = '' }: Trial): string => `${hostOf(option)}${prefix}`;

    it('is seen everywhere when the commands that set them end', async () => {
      await rig.run(...trials.map((trial) => ['option', 'set', patternOf(trial), trial.option, trial.value]));
      await observeAll('set');
    });

    it('is not seen any more when they are removed', async () => {
      await rig.run(...trials.map((trial) => ['option', 'unset', patternOf(trial), trial.option]));
      await observeAll('unset');
    });
  });
}
