import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { get, Rig, response } from '../../test/helpers/rig.ts';
import { testSettings } from '../../test/helpers/test-proxy.ts';
import { until } from '../../test/helpers/until.ts';
import { buildFrontend } from '../routing/record.ts';
import type { RouteSource } from './route-source.ts';

const marking = { ...testSettings.marking, byFirst: true };

/** A proxy whose routes throw when a backend is to be marked. */
async function start(t: TestContext, urls: readonly string[], inactivityMs = 60_000): Promise<Rig> {
  const frontend = buildFrontend('a.test', { frontend: ['a.test', ...urls], down: new Map() });
  const routes: RouteSource = {
    cached: () => frontend,
    load: async () => frontend,
    confirmAbsent: () => null,
    policyWithoutRoute: () => null,
    current: (frontend) => frontend,
    markDown: () => {
      throw new Error('broken');
    },
  };
  return Rig.start(t, { routes, random: () => 0, settings: { inactivityMs, marking } });
}

/** The exchange has ended, and nothing of it is left. */
async function assertEnded(rig: Rig): Promise<void> {
  const { counters } = rig.proxy.dataPlane;
  await until('the end of the client connection', () => counters.clientConnectionsOpen === 0);
  assert.equal(counters.requestsInFlight, 0);
  assert.equal(counters.internalErrors, 1);
  assert.equal(rig.proxy.ended.length, 1);
  assert.match(rig.proxy.problems.join(), /^internal error in an exchange: .*broken/);
  rig.proxy.problems.length = 0;
}

describe('an internal error in the handling of a backend event ends the exchange, and only that', () => {
  test('when the backend refuses the connection', async (t) => {
    const rig = await start(t, ['http://127.0.0.1:1', 'http://127.0.0.1:1/2']);
    const client = await rig.send(get('/'));
    await until('the reset', () => client.reset);
    await assertEnded(rig);
  });

  test('when the backend is silent', async (t) => {
    const rig = await Rig.start(t);
    const broken = await start(t, [rig.backend.url, 'http://127.0.0.1:1'], 300);
    const client = await broken.send(get('/'));
    await until('the reset', () => client.reset);
    await assertEnded(broken);
  });

  test('when the response is complete', async (t) => {
    const rig = await Rig.start(t);
    rig.backend.serve(() => response('whole'));
    rig.proxy.onEnded = () => {
      throw new Error('broken');
    };
    const client = await rig.send(get('/'));
    await until('the reset', () => client.reset);
    const { counters } = rig.proxy.dataPlane;
    await until('the end of the client connection', () => counters.clientConnectionsOpen === 0);
    assert.equal(counters.requestsInFlight, 0);
    assert.equal(counters.internalErrors, 1);
    rig.proxy.problems.length = 0;
    rig.proxy.onEnded = null;
    const other = await rig.send(get('/'));
    await other.expect('whole');
  });
});
