import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { FakeTime } from '../../test/helpers/fake-time.ts';
import type { EndedExchange } from '../proxy/observer.ts';
import { RequestTail, type TailQuestion, type WorkerTail } from './request-tail.ts';

const exchange = {
  ...{
    clientAddress: '192.0.2.1',
    clientPort: 1,
    tlsVersion: null,
    draw: 0,
    requestId: 'id',
    method: 'GET',
    target: '/',
  },
  ...{ version: '1.1', referer: null, userAgent: null, host: 'a.test', status: 200, errorCode: null, errorDetail: '' },
  ...{ bytesSent: 1, bodyBytes: 0, tunnelBytesReceived: 0, frontend: null, backend: null, attempts: 1, startMs: 1 },
  ...{ firstAttemptMs: 1, sentMs: 1, firstByteMs: 1, endMs: 3, isHealthCheck: false, isTunnel: false },
} as EndedExchange;

describe('the tail of the requests', () => {
  let time: FakeTime;
  let passed: number;
  let tail: RequestTail;

  beforeEach(() => {
    time = new FakeTime();
    passed = 0;
    tail = new RequestTail({ exchangeEnded: () => void passed++ }, time.clock);
  });

  const ended = (changes: Partial<EndedExchange> = {}): void => tail.exchangeEnded({ ...exchange, ...changes });
  const asked = (question: Partial<TailQuestion> = {}): WorkerTail =>
    tail.answer(1, { host: null, onlyErrors: false, after: {}, ...question });
  const targets = ({ requests }: WorkerTail): string[] => requests.map(({ target }) => target);

  test('keeps requests from the first question on, and as long as somebody asks', async () => {
    ended();
    assert.deepEqual(targets(asked()), []);
    ended({ target: '/1' });
    ended({ target: '/2' });
    const first = asked();
    assert.deepEqual(targets(first), ['/1', '/2']);
    ended({ target: '/3', isHealthCheck: true });
    ended({ target: '/4' });
    assert.deepEqual(targets(asked({ after: { 1: first.last } })), ['/4']);
    await time.pass(11_000);
    ended({ target: '/5' });
    assert.deepEqual(targets(asked({ after: { 1: first.last } })), []);
    assert.equal(passed, 6);
  });

  test('can be those of a host, of a route, or with errors', () => {
    const frontend = { pattern: '*.test' } as EndedExchange['frontend'];
    const questions: readonly Partial<TailQuestion>[] = [{ host: 'b.test' }, { host: '*.test' }, { onlyErrors: true }];
    for (const question of questions) asked(question);
    ended({ target: '/a' });
    ended({ target: '/b', host: 'b.test' });
    ended({ target: '/c', frontend });
    ended({ target: '/d', status: 404 });
    ended({ target: '/e', status: 0, errorCode: 'CLIENT_ABORTED' as EndedExchange['errorCode'] });
    assert.deepEqual(
      questions.map((question) => targets(asked(question))),
      [['/b'], ['/c'], ['/d', '/e']],
    );
  });

  test('is bounded: in a second, in all, in its texts, and in those who look', async () => {
    asked();
    for (let i = 0; i < 60; i++) ended();
    const first = asked();
    assert.deepEqual([first.requests.length, first.leftOut], [50, 10]);
    assert.equal(asked({ after: { 1: first.last } }).leftOut, 0);
    for (let second = 0; second < 6; second++) {
      await time.pass(1000);
      for (let i = 0; i < 50; i++) ended({ target: 'x'.repeat(10_000) });
    }
    const second = asked({ after: { 1: first.last } });
    assert.deepEqual([second.requests.length, second.leftOut, second.last], [200, 100, 360]);
    assert.equal(second.requests[0]?.target.length, 500);
    for (let host = 0; host < 30; host++) asked({ host: `${host}.test` });
    assert.equal(asked({ host: '29.test' }).isFull, true);
  });

  test('begins anew for numbers of another program', () => {
    asked();
    ended();
    assert.equal(asked({ after: { 1: 99 } }).requests.length, 1);
  });
});
