import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EndedExchange } from '../proxy/observer.ts';
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
