import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { EndedExchange } from '../proxy/observer.ts';
import { AccessLog } from './access-log.ts';

/** A log whose lines say the share, with the lines that it has written. */
function logOf(share: number, lineBytesMax = Number.POSITIVE_INFINITY): { log: AccessLog; lines: string[] } {
  const lines: string[] = [];
  const sink = {
    dropped: 0,
    lineBytesMax,
    takes: () => true,
    write: (line: string) => void lines.push(line),
    reopen: () => {},
    close: async () => {},
  };
  const line = (_: EndedExchange, __: number, of = 1, charsMax = 1000): string => `${of} ${'x'.repeat(charsMax)}\n`;
  return { log: new AccessLog({ sink, line, share, epochMs: () => 0 }), lines };
}

function exchange(changes: object): EndedExchange {
  return { isHealthCheck: false, status: 200, errorCode: null, frontend: null, draw: 0.5, ...changes } as EndedExchange;
}

/** How many of a hundred exchanges, with evenly distributed draws, have a line. */
function loggedOf(share: number, changes: object = {}): number {
  const { lines, log } = logOf(share);
  for (let count = 0; count < 100; count++) log.exchangeEnded(exchange({ draw: count / 100, ...changes }));
  return lines.length;
}

describe('the access log', () => {
  it('omits health checks of the proxy', () => {
    const { lines, log } = logOf(1);
    log.exchangeEnded(exchange({ isHealthCheck: true }));
    assert.deepEqual(lines, []);
  });

  it('has a share of the good requests, and each of its lines says so', () => {
    assert.equal(loggedOf(1), 100);
    assert.equal(loggedOf(0.25), 25);
    assert.equal(loggedOf(0), 0);
    const { lines, log } = logOf(0.25);
    log.exchangeEnded(exchange({ draw: 0.2 }));
    log.exchangeEnded(exchange({ status: 500 }));
    assert.deepEqual(
      lines.map((line) => line.split(' ')[0]),
      ['0.25', '1'],
    );
  });

  it('has every request that fails through no fault of its client', () => {
    assert.equal(loggedOf(0, { status: 502, errorCode: 'BACKEND_RESET' }), 100);
    assert.equal(loggedOf(0, { errorCode: 'BACKEND_RESPONSE_TRUNCATED' }), 100);
    assert.equal(loggedOf(0, { status: 503 }), 100);
    assert.equal(loggedOf(0.5, { status: 404 }), 50);
    assert.equal(loggedOf(0.5, { status: 400, errorCode: 'ROUTE_NOT_FOUND' }), 50);
    assert.equal(loggedOf(0.5, { status: 0, errorCode: 'CLIENT_GONE' }), 50);
  });

  it('obeys the policy of the host', () => {
    const of = (accessLogShare: number) => ({ frontend: { policy: { accessLogShare } } });
    assert.equal(loggedOf(0, of(1)), 100);
    assert.equal(loggedOf(1, of(0.1)), 10);
    assert.equal(loggedOf(1, of(-1)), 0);
    assert.equal(loggedOf(1, { ...of(-1), status: 502 }), 0);
    assert.equal(loggedOf(0.3, { frontend: { policy: null } }), 30);
  });

  it('cuts texts short until the line is as short as the sink wants it', () => {
    const { lines, log } = logOf(1, 100);
    log.exchangeEnded(exchange({}));
    assert.deepEqual(lines, [`1 ${'x'.repeat(60)}\n`]);
  });
});
