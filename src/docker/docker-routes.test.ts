import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { FakeEngine } from '../../test/helpers/fake-engine.ts';
import { until } from '../../test/helpers/until.ts';
import { HipacheError } from '../base/errors.ts';
import { createLog } from '../base/log.ts';
import type { InputOf, Performer } from '../operations/catalogue.ts';
import { LocalPerformer } from '../operations/local-performer.ts';
import { openStore } from '../stores/open-store.ts';
import { applyDockerRoutes, type DockerOptions, keepDockerRoutes } from './docker-routes.ts';

/** Never by themselves: the tests are about events. */
const rarely = { listEveryMs: 3_600_000, listPodmanEveryMs: 3_600_000, inspectEveryMs: 3_600_000 };

describe('the routes of containers', () => {
  let engine: FakeEngine;
  let folder: string;
  let local: LocalPerformer;
  let log: string;
  let running: { readonly abort: AbortController; readonly ended: Promise<void> }[];
  /** An error of the store, if it is away. */
  let storeError: HipacheError | null;
  /** The wishes that came to the store. */
  let wishes: InputOf<'setOwnedRoutes'>[];

  const performer: Performer = {
    perform(name, input, onStep) {
      if (name === 'setOwnedRoutes') wishes.push(input as InputOf<'setOwnedRoutes'>);
      return storeError === null ? local.perform(name, input, onStep) : Promise.reject(storeError);
    },
  };

  beforeEach(async () => {
    engine = new FakeEngine();
    await engine.start();
    folder = mkdtempSync(join(tmpdir(), 'hipache-docker-'));
    [log, running, storeError, wishes] = ['', [], null, []];
    local = new LocalPerformer({
      openStore,
      locate: () => ({ driver: [`sqlite:${join(folder, 'routes.sqlite')}`], deadSet: 'auto' }),
      config: () => null,
      now: Date.now,
      instance: { explain: async () => [], statistics: async () => [], tail: async () => [], load: async () => [] },
    });
    await local.perform('setRoute', { host: 'hand.test', backends: ['http://x:1'] });
  });

  afterEach(async () => {
    for (const { abort } of running) abort.abort();
    await Promise.allSettled(running.map(({ ended }) => ended));
    await local.close();
    await engine.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  const options = (given: Partial<DockerOptions> = {}): DockerOptions => ({
    ...{ owner: 'docker', source: null, address: null, network: null, adopt: false, performer },
    engine: { kind: 'unix', path: engine.socket },
    log: createLog({
      level: 'info',
      format: 'text',
      write: (line) => {
        log += line;
      },
    }),
    timings: { ...rarely, backOff: { firstMs: 5, longestMs: 20 } },
    ...given,
  });

  /** Keeps routes until the test ends, or what comes back is called. */
  function keep(given: Partial<DockerOptions> = {}): () => Promise<void> {
    const abort = new AbortController();
    const ended = keepDockerRoutes(options(given), abort.signal);
    ended.catch(() => {});
    running.push({ abort, ended });
    return () => {
      abort.abort();
      return ended;
    };
  }

  async function routes(): Promise<Record<string, readonly unknown[]>> {
    const { routes: listed } = await local.perform('listRoutes', {});
    const others = listed.filter(({ pattern }) => pattern !== 'hand.test');
    assert.equal(others.length, listed.length - 1, 'the route that was made by hand is gone');
    return Object.fromEntries(others.map(({ backends, pattern }) => [pattern, backends]));
  }

  async function untilRoutes(expected: Record<string, readonly string[]>): Promise<void> {
    const wanted = JSON.stringify(expected);
    await until(`routes ${wanted}`, async () => JSON.stringify(await routes()) === wanted);
  }

  const untilLogged = (text: string | RegExp): Promise<void> =>
    until(`the log to have ${text}`, () => (typeof text === 'string' ? log.includes(text) : text.test(log)));

  const a = { 'hipache.host': 'a.test' };

  it('come with a container and go with it, whatever the event', async () => {
    engine.run('c1', a, { address: '10.0.0.1' });
    keep();
    await untilRoutes({ 'a.test': ['http://10.0.0.1:80'] });
    engine.run('c2', { 'hipache.host': 'a.test,b.test' }, { address: '10.0.0.2' });
    await untilRoutes({ 'a.test': ['http://10.0.0.1:80', 'http://10.0.0.2:80'], 'b.test': ['http://10.0.0.2:80'] });
    engine.change('c2', { paused: true }, 'pause');
    await untilRoutes({ 'a.test': ['http://10.0.0.1:80'] });
    engine.change('c2', { paused: false }, 'unpause');
    await untilRoutes({ 'a.test': ['http://10.0.0.1:80', 'http://10.0.0.2:80'], 'b.test': ['http://10.0.0.2:80'] });
    engine.change('c1', { running: false }, 'die');
    engine.delete('c2');
    await untilRoutes({});
  });

  it('wait for the health of the container, and go when it is lost', async () => {
    keep();
    await until('a follower', () => engine.isFollowed);
    engine.run('c1', a, { address: '10.0.0.1', health: 'starting' });
    engine.run('c2', { 'hipache.host': 'b.test' }, { address: '10.0.0.2' });
    await untilRoutes({ 'b.test': ['http://10.0.0.2:80'] });
    engine.change('c1', { health: 'healthy' }, 'health_status: healthy');
    await untilRoutes({ 'a.test': ['http://10.0.0.1:80'], 'b.test': ['http://10.0.0.2:80'] });
    engine.change('c1', { health: 'unhealthy' }, 'health_status: unhealthy');
    await untilRoutes({ 'b.test': ['http://10.0.0.2:80'] });
    // Podman reports the result of a check before it can be read.
    engine.emit('health_status', 'c1');
    const before = engine.asked.length;
    await until('a look', () => engine.asked.length > before);
    const container = engine.containers.get('c1');
    if (container !== undefined) container.health = 'healthy';
    await untilRoutes({ 'a.test': ['http://10.0.0.1:80'], 'b.test': ['http://10.0.0.2:80'] });
  });

  it('go when a container is asked to end, and not with another signal', async () => {
    engine.run('c1', a, { address: '10.0.0.1' });
    engine.run('c2', { 'hipache.host': 'b.test' }, { address: '10.0.0.2' });
    keep();
    await untilRoutes({ 'a.test': ['http://10.0.0.1:80'], 'b.test': ['http://10.0.0.2:80'] });
    engine.emit('kill', 'c2', { signal: '1' });
    engine.emit('kill', 'c1', { signal: '15' });
    await untilRoutes({ 'b.test': ['http://10.0.0.2:80'] });
    engine.change('c1', { running: false }, 'die');
    engine.change('c1', { running: true, startedAt: new Date(Date.now() + 1000).toISOString() }, 'start');
    await untilRoutes({ 'a.test': ['http://10.0.0.1:80'], 'b.test': ['http://10.0.0.2:80'] });
  });

  it('stay while the engine is away, and are exact when it is back', async () => {
    engine.run('c1', a, { address: '10.0.0.1' });
    engine.run('c2', { 'hipache.host': 'b.test' }, { address: '10.0.0.2' });
    const stop = keep();
    await untilRoutes({ 'a.test': ['http://10.0.0.1:80'], 'b.test': ['http://10.0.0.2:80'] });
    await engine.stop();
    await untilLogged('the engine is away, and routes stay as they are');
    engine.containers.delete('c2');
    engine.run('c3', { 'hipache.host': 'c.test' }, { address: '10.0.0.3' });
    const before = wishes.length;
    engine.failures.set('/version', 503);
    engine.asked.length = 0;
    await engine.start();
    await until('some attempts', () => engine.asked.length > 3);
    assert.equal(wishes.length, before);
    assert.deepEqual(Object.keys(await routes()), ['a.test', 'b.test']);
    engine.failures.clear();
    await untilRoutes({ 'a.test': ['http://10.0.0.1:80'], 'c.test': ['http://10.0.0.3:80'] });
    await untilLogged('the engine answers again');
    assert.equal(log.split('the engine is away').length, 2);
    await stop();
    assert.deepEqual(Object.keys(await routes()), ['a.test', 'c.test']);
    const { sources } = await local.perform('listOwners', {});
    assert.deepEqual(
      sources.map(({ holder, hosts, source }) => [source, hosts, holder]),
      [['machine_1', 2, null]],
    );
  });

  it('are exact after a start, whatever has happened in between', async () => {
    engine.run('c1', a, { address: '10.0.0.1' });
    engine.run('c2', { 'hipache.host': 'b.test' }, { address: '10.0.0.2' });
    const stop = keep();
    await untilRoutes({ 'a.test': ['http://10.0.0.1:80'], 'b.test': ['http://10.0.0.2:80'] });
    await stop();
    engine.delete('c1');
    engine.change('c2', { address: '10.0.0.9' }, 'restart');
    keep();
    await untilRoutes({ 'b.test': ['http://10.0.0.9:80'] });
  });

  it('of a container that cannot be read since the start do not go, and nothing is written once', async () => {
    engine.run('c1', a, { address: '10.0.0.1' });
    const end = keep();
    await untilRoutes({ 'a.test': ['http://10.0.0.1:80'] });
    await end();
    engine.failures.set('/c1/json', 500);
    await assert.rejects(applyDockerRoutes(options()), /the container c1 cannot be inspected, and may have routes/);
    engine.run('c2', { 'hipache.host': 'b.test' }, { address: '10.0.0.2' });
    log = '';
    keep({ timings: { ...rarely, listEveryMs: 10 } });
    await untilLogged('cannot be inspected: the engine responds with 500: broken');
    const { length } = engine.asked;
    await until('further listings', () => engine.asked.length > length + 6);
    assert.deepEqual(await routes(), { 'a.test': ['http://10.0.0.1:80'] });
    engine.failures.clear();
    await untilRoutes({ 'a.test': ['http://10.0.0.1:80'], 'b.test': ['http://10.0.0.2:80'] });
  });

  it('are right although every event is lost, by the listings', async () => {
    engine.losesEvents = true;
    engine.podman = true;
    keep({ timings: { ...rarely, listPodmanEveryMs: 10 } });
    engine.run('c1', a, { address: '10.0.0.1' });
    await untilRoutes({ 'a.test': ['http://10.0.0.1:80'] });
    engine.change('c1', { address: '10.0.0.4' }, 'restart');
    await untilRoutes({ 'a.test': ['http://10.0.0.4:80'] });
    engine.change('c1', { status: 'stopping' }, '');
    await untilRoutes({});
    engine.change('c1', { status: 'running' }, '');
    await untilRoutes({ 'a.test': ['http://10.0.0.4:80'] });
    // A container that ends before it is listed.
    engine.losesEvents = false;
    engine.run('c2', { 'hipache.host': 'b.test' }, { address: '10.0.0.2', isListed: false });
    await untilRoutes({ 'a.test': ['http://10.0.0.4:80'], 'b.test': ['http://10.0.0.2:80'] });
    engine.losesEvents = true;
    engine.change('c2', { status: 'stopping' }, '');
    await untilRoutes({ 'a.test': ['http://10.0.0.4:80'] });
    // A container that is being removed cannot be inspected.
    engine.failures.set('/c1/json', 500);
    engine.containers.delete('c1');
    await untilLogged('cannot be inspected: the engine responds with 500: broken');
    assert.deepEqual(await routes(), { 'a.test': ['http://10.0.0.4:80'] });
    engine.failures.clear();
    await untilRoutes({});
  });

  it('wait for the store, and everything is written when it is back', async () => {
    engine.run('c1', a, { address: '10.0.0.1' });
    engine.run('c2', { 'hipache.host': 'b.test' }, { address: '10.0.0.2' });
    keep();
    await untilRoutes({ 'a.test': ['http://10.0.0.1:80'], 'b.test': ['http://10.0.0.2:80'] });
    storeError = new HipacheError('STORE_UNAVAILABLE', 'no store');
    engine.delete('c1');
    await untilLogged('routes cannot be written: no store');
    engine.run('c3', { 'hipache.host': 'c.test' }, { address: '10.0.0.3' });
    storeError = null;
    await untilRoutes({ 'b.test': ['http://10.0.0.2:80'], 'c.test': ['http://10.0.0.3:80'] });
    assert.equal(wishes.at(-1)?.complete, true);
    await untilLogged('routes are written again');
  });

  it('end with an error that trying again does not mend', async () => {
    storeError = new HipacheError('COMMAND_INVALID', '--admin: no such token');
    await assert.rejects(keepDockerRoutes(options(), new AbortController().signal), /no such token/);
  });

  it('are said why they are not there: wrong labels, hosts of others, contradictions', async () => {
    await local.perform('setOwnedRoutes', {
      ...{ owner: 'panel', source: 'web', complete: false },
      routes: [{ host: 'owned.test', backends: ['http://x:1'] }],
    });
    engine.run('typo', { 'hipache.hots': 'x.test' });
    engine.run('hand', { 'hipache.host': 'hand.test' });
    engine.run('owned', { 'hipache.host': 'owned.test' });
    engine.run(
      'one',
      { ...a, 'hipache.option.requestsMax': '1' },
      { created: '2026-01-01T00:00:00Z', address: '10.0.0.1' },
    );
    engine.run('two', { ...a, 'hipache.option.requestsMax': '2' }, { address: '10.0.0.2' });
    keep({ timings: { ...rarely, listEveryMs: 10, inspectEveryMs: 10 } });
    await untilLogged(
      /no route to the container: there is no label hipache\.hots; did you mean hipache\.host\? container=typo/,
    );
    await untilLogged(/host is refused: it has a route that was made by hand host=hand\.test containers=hand/);
    await untilLogged(/host is refused: it belongs to the owner panel \(web\) host=owned\.test containers=owned/);
    await untilLogged(/options contradict each other: two has another value than one, .* option="a\.test requestsMax"/);
    await until('several rounds', () => wishes.length > 3);
    for (const once of ['hots', 'made by hand', 'owner panel', 'contradict'])
      assert.equal(log.split(once).length, 2, once);
    const expected = { 'a.test': ['http://10.0.0.1:80', 'http://10.0.0.2:80'], 'owned.test': ['http://x:1'] };
    assert.deepEqual(await routes(), expected);
    // Once the host is free, it is taken.
    await local.perform('forgetSource', { owner: 'panel', source: 'web' });
    const { address = '' } = engine.containers.get('owned') ?? {};
    await untilRoutes({ ...expected, 'owned.test': [`http://${address}:80`] });
  });

  it('have one process for each source: a second one waits until the first has ended', async () => {
    engine.run('c1', a, { address: '10.0.0.1' });
    const stop = keep({ source: 's' });
    await untilRoutes({ 'a.test': ['http://10.0.0.1:80'] });
    const other = new FakeEngine();
    await other.start();
    try {
      other.run('d1', { 'hipache.host': 'd.test' }, { address: '10.0.9.1' });
      const stopOther = keep({ source: 's', engine: { kind: 'unix', path: other.socket } });
      await untilLogged('the source s of the owner docker is kept by another process');
      assert.deepEqual(await routes(), { 'a.test': ['http://10.0.0.1:80'] });
      await stop();
      await untilRoutes({ 'd.test': ['http://10.0.9.1:80'] });
      await stopOther();
    } finally {
      await other.remove();
    }
  });

  it('of two machines share a host, and one that ends leaves those of the other', async () => {
    const other = new FakeEngine();
    await other.start();
    try {
      engine.run('c1', a, { address: '10.0.0.1' });
      other.run('d1', a, { address: '10.0.9.1' });
      keep({ source: 'm1' });
      await untilRoutes({ 'a.test': ['http://10.0.0.1:80'] });
      keep({ source: 'm2', engine: { kind: 'unix', path: other.socket } });
      await untilRoutes({ 'a.test': ['http://10.0.0.1:80', 'http://10.0.9.1:80'] });
      engine.delete('c1');
      await untilRoutes({ 'a.test': ['http://10.0.9.1:80'] });
      other.delete('d1');
      await untilRoutes({});
    } finally {
      await other.remove();
    }
  });

  it('are written once, and the result says what was not', async () => {
    engine.run('c1', a, { address: '10.0.0.1' });
    engine.run('typo', { 'hipache.hots': 'x.test' });
    engine.apiVersions = { ApiVersion: '1.52', MinAPIVersion: '1.44' };
    const { changes, problems, source } = await applyDockerRoutes(options());
    assert.deepEqual([changes.added, problems.length, source], [['a.test'], 1, 'machine_1']);
    assert.ok(engine.asked.includes('/v1.44/containers/json'));
    await engine.stop();
    await assert.rejects(applyDockerRoutes(options()), /there is no socket .*: does the engine run\?/);
  });

  it('need an API that is not too old, and is one of an engine', async () => {
    engine.apiVersions = { ApiVersion: '1.20', MinAPIVersion: '1.12' };
    await assert.rejects(applyDockerRoutes(options()), /the engine has the API 1\.20 only; 1\.24 is needed/);
    engine.apiVersions = { ApiVersion: '', MinAPIVersion: '' };
    await assert.rejects(applyDockerRoutes(options()), /no engine of containers answers at /);
  });
});
