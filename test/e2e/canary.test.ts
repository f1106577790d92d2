import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { isInCanary } from '../../src/routing/canary.ts';
import { Application } from '../helpers/application.ts';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { ask } from '../helpers/http-client.ts';
import { SteadyRequests, SteadyTunnels } from '../helpers/lasting-clients.ts';
import { until } from '../helpers/until.ts';

const host = 'a.example';
const addresses = Array.from({ length: 100 }, (_, i) => `203.0.113.${i}`);
const isInside = (address: string, share: number): boolean => isInCanary({ pattern: host, share }, address);

/** Clients of many addresses, in the canary of 20 % and not, which never retry. */
class SteadyAddresses {
  readonly failures: string[] = [];
  /** The last response of each address. */
  readonly responses = new Map<string, string>();
  private isStopping = false;
  private readonly running: Promise<unknown>;

  constructor(ports: readonly number[]) {
    this.running = Promise.all(ports.map((port) => this.run(port)));
  }

  async stop(): Promise<void> {
    this.isStopping = true;
    await this.running;
  }

  private async run(port: number): Promise<void> {
    for (let i = 0; !this.isStopping; i++) {
      const address = addresses[i % addresses.length] as string;
      const response = await ask(port, host, { headers: { 'x-forwarded-for': address } }).catch(
        (error: Error) => error,
      );
      if (!(response instanceof Error) && response.status === 200) this.responses.set(address, response.body);
      else this.failures.push(`${address}: ${response instanceof Error ? response.message : response.status}`);
    }
  }
}

describe('hipache deploy --canary, with two instances of two workers', () => {
  let home: HipacheHome;
  let instances: readonly HipacheProcess[];
  let blue: Application;
  let green: Application;
  let red: Application;

  beforeEach(async () => {
    home = new HipacheHome();
    [blue, green, red] = [
      await Application.start('blue'),
      await Application.start('green'),
      await Application.start('red'),
    ];
    home.configure({}, { workers: 2, trustedProxies: ['127.0.0.1'] });
    instances = [await home.serve(), await home.serve()];
    const fleet = async () => JSON.parse((await home.run('fleet', '--json')).stdout).instances.length;
    await until('both instances in the fleet', async () => (await fleet()) === 2);
    await home.route('set', host, `${blue.url}#weight=2`, '--id', 'shop', '--wait=20');
  });

  afterEach(async () => {
    await home.remove();
    for (const application of [blue, green, red]) await application.stop();
  });

  const deploy = (...args: string[]) => home.run('deploy', ...args, '--json');
  /** Runs a deploy that must succeed. */
  const deployed = async (...args: string[]) => {
    const { code, stderr, stdout } = await deploy(...args);
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout);
  };
  const show = async () => JSON.parse((await home.run('route', 'show', host, '--json')).stdout);
  const shown = async () =>
    (await show()).backends.map(({ canary, url }: { url: string; canary: number | null }) => [url, canary]);

  /** The names of the applications that respond to each address, on both instances alike. */
  const responses = async (): Promise<string[]> => {
    const all: string[] = [];
    for (const address of addresses) {
      const headers = { 'x-forwarded-for': address };
      const bodies = await Promise.all(instances.map(({ port }) => ask(port, host, { headers })));
      assert.equal(bodies[0]?.body, bodies[1]?.body, address);
      all.push(bodies[0]?.body ?? '');
    }
    return all;
  };
  const expected = (share: number, canary: string, ordinary = 'blue'): string[] =>
    addresses.map((address) => (isInside(address, share) ? canary : ordinary));

  it('gives its share of the clients to the canary, and more of them with a larger share', async () => {
    const first = await home.run('deploy', host, green.url, '--canary', '5%', '--health', '/up');
    const url = green.url.replaceAll('.', '\\.');
    assert.match(
      first.stdout,
      new RegExp(`^a\\.example: canary for 5 % of the clients: ${url}#canary=5; live on 2 instances`),
    );
    assert.match(first.stderr, new RegExp(`^${url} is healthy\nwritten\nlive on all instances`));
    assert.deepEqual(await shown(), [
      [blue.url, null],
      [green.url, 5],
    ]);
    assert.deepEqual(await responses(), expected(5, 'green'));

    const grown = await deployed(host, green.url, '--canary', '20');
    assert.deepEqual([grown.action, grown.backends, grown.replaced], ['canary', [`${blue.url}#weight=2`], []]);
    assert.deepEqual(grown.canary, { share: 20, backends: [`${green.url}#canary=20`] });
    assert.deepEqual(await responses(), expected(20, 'green'));
    const { id } = await show();
    assert.equal(id, 'shop');
    const text = (await home.run('explain', host)).stdout;
    assert.match(text, /weight 1, canary 20 %/);

    const other = await deployed(host, red.url, '--canary', '20%', '--drain', '1s');
    assert.deepEqual(other.replaced, [`${green.url}#canary=20`]);
    assert.deepEqual(await shown(), [
      [blue.url, null],
      [red.url, 20],
    ]);
    assert.deepEqual(await responses(), expected(20, 'red'));
    const { url: redUrl } = red;
    await red.stop();
    assert.deepEqual(await responses(), expected(20, 'blue'));
    const [, dead] = JSON.parse((await home.run('explain', host, '--json')).stdout).backends;
    assert.deepEqual([dead.url, dead.dead?.reason], [redUrl, 'BACKEND_CONNECT_REFUSED']);
    red = await Application.start('red');
  });

  it('promotes the canary under load without a failure, and rolls back', async () => {
    await deployed(host, `${green.url}#weight=3`, '--canary', '20%');
    const clients = [
      new SteadyAddresses(instances.map(({ port }) => port)),
      ...instances.flatMap(({ port }) => [new SteadyRequests(port, host, 2), new SteadyTunnels(port, host, 3)]),
    ];
    const [steady] = clients as [SteadyAddresses];
    await until('both to serve', () => new Set(steady.responses.values()).size === 2);
    const promoted = await deployed('promote', host, '--health', '/up', '--drain', '2s');
    assert.deepEqual(
      [promoted.action, promoted.backends, promoted.canary, promoted.replaced],
      ['promoted', [`${green.url}#weight=3`], null, [`${blue.url}#weight=2`]],
    );
    assert.deepEqual(await shown(), [[green.url, null]]);
    const { requests } = blue;
    await until('green for all', () => [...steady.responses.values()].every((name) => name === 'green'));
    assert.equal(blue.requests, requests);
    for (const client of clients) await client.stop();
    for (const { failures } of clients) assert.deepEqual(failures, []);

    assert.equal((await home.run('rollback', host, '--drain', '1s')).code, 0);
    assert.deepEqual(await shown(), [[blue.url, null]]);
    assert.equal((await show()).backends[0].weight, 2);
  });

  it('does not promote a canary that is not healthy', async () => {
    await deployed(host, green.url, '--canary', '5%');
    green.up = { status: 503, location: '', body: '' };
    const before = await show();
    const { code, stderr } = await deploy('promote', host, '--health', '/up', '--health-timeout', '600ms');
    assert.equal(code, 6);
    assert.match(stderr, /\/up responds with 503/);
    assert.deepEqual(await show(), before);
  });

  it('aborts the canary, which then drains, and keeps the deploy that a rollback undoes', async () => {
    await deployed(host, red.url, '--drain', '1s');
    await deployed(host, green.url, '--canary', '50%');
    const aborted = await deployed('abort', host, '--drain', '1s');
    assert.deepEqual(
      [aborted.action, aborted.backends, aborted.canary, aborted.replaced],
      ['aborted', [red.url], null, [`${green.url}#canary=50`]],
    );
    assert.deepEqual(await shown(), [[red.url, null]]);
    assert.deepEqual(new Set(await responses()), new Set(['red']));
    for (const name of ['abort', 'promote']) {
      const { code, stderr } = await deploy(name, host);
      assert.equal(code, 3);
      assert.match(stderr, /a\.example has no canary/);
    }
    assert.equal((await home.run('rollback', host, '--drain', '1s')).code, 0);
    assert.deepEqual(await shown(), [[blue.url, null]]);
  });

  it('is removed by a deploy of other backends, and becomes ordinary by one of its own', async () => {
    await deployed(host, green.url, '--canary', '20%');
    const { replaced } = await deployed(host, red.url, '--drain', '1s');
    assert.deepEqual(replaced, [`${blue.url}#weight=2`, `${green.url}#canary=20`]);
    assert.deepEqual(await shown(), [[red.url, null]]);
    assert.equal((await home.run('rollback', host, '--drain', '1s')).code, 0);
    assert.deepEqual(await shown(), [[blue.url, null]], 'a rollback does not deploy the canary');
    await deployed(host, green.url, '--canary', '20%');
    await deployed(host, green.url, '--drain', '1s');
    assert.deepEqual(await shown(), [[green.url, null]]);
    assert.deepEqual(new Set(await responses()), new Set(['green']));
  });

  it('drains and removes a canary as any backend, and serves all by canaries if nothing else is left', async () => {
    await deployed(host, green.url, red.url, '--canary', '20%');
    await home.route('remove', host, red.url, '--drain', '1');
    assert.deepEqual(await shown(), [
      [blue.url, null],
      [green.url, 20],
    ]);
    assert.deepEqual(await responses(), expected(20, 'green'));
    await home.route('remove', host, blue.url, '--wait=20');
    assert.deepEqual(new Set(await responses()), new Set(['green']));
    assert.match((await show()).problems[0], /^every backend has #canary; they serve all clients/);
    const { code, stderr } = await deploy('abort', host);
    assert.deepEqual([code, /no backends beside a canary; none would be left/.test(stderr)], [2, true]);
    const { backends, replaced } = await deployed('promote', host);
    assert.deepEqual([backends, replaced], [[green.url], []]);
    assert.deepEqual((await show()).problems, []);
  });

  it('refuses what makes no canary, and changes nothing', async () => {
    const before = await show();
    const cases: readonly [args: string[], problem: RegExp][] = [
      [['new.example', green.url, '--canary', '5%'], /new\.example has no backends beside a canary/],
      [[host, blue.url, '--canary', '5%'], /serves all clients of a\.example; it cannot be its canary/],
      [[host, green.url, '--canary', '100%'], /--canary: found "100%", allowed 0\.1% to 99\.9%/],
      [[host, `${green.url}#canary=5`], /give the share as --canary 5%/],
      [['promote', host, '--canary', '5%'], /--canary has no effect here/],
      [['abort', host, '--health', '/up'], /--health has no effect here/],
      [['abort'], /missing required argument 'host'; see "hipache deploy abort --help"/],
      [[host], /missing required argument 'url'; see "hipache deploy --help"/],
    ];
    for (const [args, problem] of cases) {
      const { code, stderr } = await deploy(...args);
      assert.equal(code, 2, stderr);
      assert.match(stderr, problem);
    }
    assert.deepEqual(await show(), before);
  });
});
