import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { until } from '../../test/helpers/until.ts';
import { makeAdminToken } from '../operations/admin-token.ts';
import type { ChangeListener, Store } from '../stores/contract.ts';
import { openStore } from '../stores/open-store.ts';
import { type LoadSummary, summarize } from '../telemetry/load-summary.ts';
import { AdminApi, type ApiEvent } from './admin-api.suite.ts';

const backends = ['http://10.0.0.1:80'];

/** A store whose listener the test calls. */
class FailingWatch {
  listener: ChangeListener | null = null;

  async open(driver: string): Promise<Store> {
    const store = await openStore([driver]);
    store.watch = async (listener) => {
      this.listener = listener;
    };
    return store;
  }
}

/** A file that comes later is a gap. */
async function makeStore(api: AdminApi): Promise<void> {
  await api.ask('PUT', '/v1/routes/first.test', { backends });
}

describe('the events of the admin API', () => {
  test('has changes by any program, and the author of those through the API', async (t) => {
    const api = await AdminApi.start(t);
    await makeStore(api);
    const { events } = await api.follow(t);
    const named = (name: string): readonly ApiEvent[] => events.filter((event) => event.name === name);
    await until('the beginning', () => events.length > 0);
    assert.equal(events[0]?.name, 'reset');
    assert.equal(events[0]?.data['why'], 'start');
    await api.ask('PUT', '/v1/routes/a.test', { backends });
    await api.ask('PATCH', '/v1/options/b.test', { options: { requestsMax: '5' } });
    await api.ask('PUT', '/v1/routes/a.test', { backends }, { 'if-none-match': '*' });
    await until('the changes', () => named('change').length >= 2 && named('audit').length >= 3);
    assert.deepEqual(
      named('change').map(({ data }) => [data['collection'], data['names']]),
      [
        ['routes', ['a.test']],
        ['options', ['b.test']],
      ],
    );
    assert.deepEqual(
      named('audit').map(({ data }) => [data['by'], data['operation'], data['host'], data['result']]),
      [
        ['local', 'setRoute', 'a.test', 'done'],
        ['local', 'setOptions', 'b.test', 'done'],
        ['local', 'setRoute', 'a.test', 'CONFLICT'],
      ],
    );
    assert.ok(!Number.isNaN(Date.parse(String(named('change')[0]?.data['at']))));
  });

  test('go on where a client was, or say that some are lost', async (t) => {
    const api = await AdminApi.start(t);
    await makeStore(api);
    const { events } = await api.follow(t);
    await until('the beginning', () => events.length > 0);
    const changes = (): readonly ApiEvent[] => events.filter(({ name }) => name === 'change');
    for (const [index, host] of ['a.test', 'b.test', 'c.test'].entries()) {
      await api.ask('PUT', `/v1/routes/${host}`, { backends });
      await until('the change', () => changes().length > index);
    }
    const { events: later } = await api.follow(t, '?only=change', { 'last-event-id': changes()[1]?.id ?? '' });
    await until('what followed', () => later.length > 0);
    assert.deepEqual(
      later.map(({ data, id }) => [id, data['names']]),
      [[changes()[2]?.id, ['c.test']]],
    );
    const { events: lost } = await api.follow(t, '?after=0123456789ab-7');
    await until('the reset', () => lost.length > 0);
    assert.deepEqual([lost[0]?.name, lost[0]?.data['why']], ['reset', 'gap']);
  });

  test('can be those of one host, or of some names', async (t) => {
    const api = await AdminApi.start(t);
    await makeStore(api);
    const { events } = await api.follow(t, '?host=b.test&only=change');
    await until('the beginning', () => events.length > 0);
    await api.ask('PUT', '/v1/routes/a.test', { backends });
    const changes = [
      { set: 'b.test', backends },
      { set: 'c.test', backends },
    ];
    assert.equal((await api.ask('POST', '/v1/changes', { changes })).status, 200);
    await until('the change', () => events.length > 1);
    assert.deepEqual(
      events.slice(1).map(({ data, name }) => [name, data['names']]),
      [['change', ['b.test']]],
    );
    for (const [query, detail] of [
      ['?only=chnge', /^only: found "chnge", allowed change, audit, load, store, reset$/],
      ['?hosts=a', /^"hosts": there is no such field; allowed host, only, after$/],
    ] as const) {
      const { json, status } = await api.ask('GET', `/v1/events${query}`);
      assert.equal(status, 400);
      assert.match(String(json['detail']), detail);
    }
    assert.equal((await api.ask('POST', '/v1/events', {})).status, 405);
  });

  test('has each new window of the load', async (t) => {
    const load: LoadSummary[] = [];
    const api = await AdminApi.start(t, { load });
    const { events } = await api.follow(t, '?only=load');
    await until('the beginning', () => events.length > 0);
    load.push(
      summarize(null, { 'hipache_responses_total/2xx': 5 }, { atMs: Date.now(), seconds: 10, primaryBytes: 1 }),
    );
    await until('the window', () => events.length > 1);
    load.length = 0;
    assert.deepEqual([events[1]?.name, events[1]?.data['requestsPerSecond']], ['load', 0.5]);
  });

  test('needs a token, and room', async (t) => {
    const { entry, token } = makeAdminToken('wall', 'read');
    const api = await AdminApi.start(t, { onAddress: true, admin: { tokens: [entry] } });
    assert.equal((await api.ask('GET', '/v1/events')).status, 401);
    const authorization = { authorization: `Bearer ${token}` };
    const streams = await Promise.all(Array.from({ length: 100 }, () => api.follow(t, '', authorization)));
    await until('all of them', () => streams.every(({ events }) => events.length > 0));
    const { json, status } = await api.ask('GET', '/v1/events', null, authorization);
    assert.deepEqual([status, json['code']], [503, 'STREAMS_EXHAUSTED']);
    assert.equal((await api.ask('GET', '/v1/option-names', null, authorization)).status, 200);
    streams[0]?.leave();
    await until('room', async () => {
      const more = await api.follow(t, '', authorization).catch(() => null);
      return more !== null;
    });
  });

  test('ends at once for HEAD, which would have no reader', async (t) => {
    const api = await AdminApi.start(t);
    for (let i = 0; i < 110; i++) assert.equal((await api.ask('HEAD', '/v1/events')).status, 200);
    const { events } = await api.follow(t);
    await until('the beginning', () => events.length > 0);
  });

  test('says that the store is lost, and that it is back', async (t) => {
    const store = new FailingWatch();
    const api = await AdminApi.start(t, { openWatched: (driver) => store.open(driver) });
    const { events } = await api.follow(t, '?only=store');
    await until('the beginning', () => events.length > 0 && store.listener !== null);
    store.listener?.lost(new Error('gone'));
    store.listener?.restored();
    store.listener?.expired();
    await until('the end', () => events.length === 5);
    assert.deepEqual(
      events.map(({ data, name }) => [name, data['why'] ?? data['state'], data['error']]),
      [
        ['reset', 'start', undefined],
        ['store', 'lost', 'gone'],
        ['store', 'restored', null],
        ['reset', 'store', undefined],
        ['reset', 'store', undefined],
      ],
    );
  });
});
