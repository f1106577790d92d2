import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EndedExchange } from '../proxy/observer.ts';
import { answerStatistics, quantileMs } from './host-statistics.ts';
import { RequestMetrics } from './request-metrics.ts';

function ended(changes: Partial<EndedExchange>): EndedExchange {
  const usual = {
    status: 200,
    errorCode: null,
    bytesSent: 100,
    startMs: 1000,
    sentMs: 1001,
    endMs: 1004,
    isHealthCheck: false,
    isTunnel: false,
    frontend: null,
    backend: null,
  };
  return { ...usual, ...changes } as EndedExchange;
}

function collected(...exchanges: EndedExchange[]): Record<string, number> {
  const metrics = new RequestMetrics();
  for (const exchange of exchanges) metrics.exchangeEnded(exchange);
  const values: Record<string, number> = {};
  metrics.collect(values);
  return values;
}

test('requests are counted by class and error, their durations by bucket', () => {
  const values = collected(
    ended({}),
    ended({ status: 502, errorCode: 'BACKEND_RESET', endMs: 1300 }),
    ended({ status: 0, errorCode: 'CLIENT_GONE', sentMs: 0, endMs: 1_000_000, bytesSent: 0 }),
  );
  assert.equal(values['hipache_responses_total/2xx'], 1);
  assert.equal(values['hipache_responses_total/5xx'], 1);
  assert.equal(values['hipache_responses_total/none'], 1);
  assert.equal(values['hipache_request_errors_total/BACKEND_RESET'], 1);
  assert.equal(values['hipache_sent_bytes_total'], 200);
  assert.equal(values['hipache_request_duration_seconds/0.005'], 1);
  assert.equal(values['hipache_request_duration_seconds/0.5'], 1);
  assert.equal(values['hipache_request_duration_seconds/+Inf'], 1);
  assert.equal(values['hipache_request_duration_seconds/sum'], 0.004 + 0.3 + 999);
  assert.equal(values['hipache_backend_duration_seconds/0.005'], 1);
  assert.equal(values['hipache_backend_duration_seconds/+Inf'], 0);
});

test('a duration that equals a bound is within its bucket', () => {
  assert.equal(collected(ended({ endMs: 1005 }))['hipache_request_duration_seconds/0.005'], 1);
  assert.equal(collected(ended({ endMs: 1000.5 }))['hipache_request_duration_seconds/0.0005'], 1);
});

test('pings are not requests; a tunnel has a status but no duration', () => {
  const values = collected(ended({ isHealthCheck: true }), ended({ status: 101, isTunnel: true }));
  assert.equal(values['hipache_responses_total/2xx'], 0);
  assert.equal(values['hipache_responses_total/1xx'], 1);
  assert.equal(values['hipache_request_duration_seconds/0.005'], 0);
});

test('the next observer gets every exchange', () => {
  let heard = 0;
  const metrics = new RequestMetrics({ exchangeEnded: () => void heard++ });
  metrics.exchangeEnded(ended({}));
  metrics.exchangeEnded(ended({ isHealthCheck: true }));
  assert.equal(heard, 2);
});

test('hosts and backends have counts of their own, and windows', () => {
  const metrics = new RequestMetrics();
  const [shop, blog] = [{ pattern: 'shop.test' }, { pattern: 'blog.test' }] as EndedExchange['frontend'][];
  const backend = { url: 'http://10.0.0.1' } as EndedExchange['backend'];
  const toEpochMs = (ms: number): number => ms + 1_000_000;
  const question = { order: 'rate', limit: 10, prefix: '', only: null } as const;
  for (let i = 0; i < 3; i++) metrics.exchangeEnded(ended({ frontend: shop ?? null, backend }));
  metrics.exchangeEnded(ended({ frontend: shop ?? null, status: 404 }));
  metrics.exchangeEnded(ended({ frontend: blog ?? null, status: 502, errorCode: 'BACKEND_RESET', endMs: 1300 }));
  metrics.exchangeEnded(ended({ status: 400, errorCode: 'ROUTE_NOT_FOUND' }));
  metrics.backendFailed({ url: 'http://10.0.0.1' }, 'blog.test', 'BACKEND_RESET');
  const before = answerStatistics(metrics.tables, question, toEpochMs);
  assert.deepEqual([before.all.total.requests, before.all.recent.requests], [6, 0]);
  metrics.turn();
  metrics.exchangeEnded(ended({ frontend: blog ?? null, isTunnel: true, status: 101, endMs: 2000 }));
  const { all, hosts } = answerStatistics(metrics.tables, question, toEpochMs);
  assert.deepEqual(
    hosts.map(({ label, lastMs, recent, total }) => [label, recent.requests, total.requests, total.errors, lastMs]),
    [
      ['shop.test', 4, 4, 0, 1_001_004],
      ['blog.test', 1, 2, 1, 1_002_000],
    ],
  );
  assert.deepEqual([all.total.clientErrors, all.total.errors, all.total.tunnels, all.recent.bytes], [2, 1, 1, 600]);
  const only = { hosts: ['blog.test', 'none.test'], backends: ['http://10.0.0.1'] };
  const named = answerStatistics(metrics.tables, { ...question, only }, toEpochMs);
  assert.deepEqual(
    [named.hosts, named.backends].map((list) => list.map(({ label, total }) => [label, total.requests, total.errors])),
    [[['blog.test', 2, 1]], [['http://10.0.0.1', 3, 1]]],
  );
  metrics.turn();
  metrics.turn();
  const later = answerStatistics(metrics.tables, { ...question, order: 'errors', prefix: 'shop' }, toEpochMs);
  assert.deepEqual(
    later.hosts.map(({ label, recent, total }) => [label, recent.requests, total.requests]),
    [['shop.test', 0, 4]],
  );
});

test('a quantile lies within its bucket', () => {
  const boundsMs = [10, 20, 40];
  assert.equal(quantileMs(null, boundsMs, 0.5), null);
  assert.equal(quantileMs([0, 0, 0, 0], boundsMs, 0.5), null);
  assert.equal(quantileMs([100, 0, 0, 0], boundsMs, 0.5), 5);
  assert.equal(quantileMs([50, 0, 50, 0], boundsMs, 0.75), 30);
  assert.equal(quantileMs([98, 0, 0, 2], boundsMs, 0.99), 40, 'the last bucket has no end');
});
