import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { createLog, type LogOptions } from './log.ts';

const now = () => Date.UTC(2026, 10, 22, 10, 0, 0, 123);

function logTo(lines: string[], options: Partial<LogOptions> = {}) {
  return createLog({ level: 'info', format: 'text', now, write: (line) => lines.push(line), ...options });
}

describe('the text log', () => {
  test('has time, level, message and fields on one line', () => {
    const lines: string[] = [];
    const log = logTo(lines);
    log.info('listening', { address: '127.0.0.1', port: 8080, list: [1, 2] });
    log.warn('two words', { text: 'a b', empty: '', quote: 'a"b' });
    assert.deepEqual(lines, [
      '2026-11-22T10:00:00.123Z info  listening address=127.0.0.1 port=8080 list=[1,2]\n',
      '2026-11-22T10:00:00.123Z warn  two words text="a b" empty="" quote="a\\"b"\n',
    ]);
  });

  test('shows errors by message and code, and protects its own names', () => {
    const lines: string[] = [];
    logTo(lines).error('failed', { error: Object.assign(new Error('no\nluck'), { code: 'EX' }), msg: 1, level: 2 });
    assert.deepEqual(lines, ['2026-11-22T10:00:00.123Z error failed error="no\\nluck" errorCode=EX msg_=1 level_=2\n']);
  });

  test('stays on one line and harmless to a terminal, whatever it gets', () => {
    const lines: string[] = [];
    const log = logTo(lines);
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (message, value) => {
        lines.length = 0;
        log.info(message, { [value]: value, deep: { value } });
        assert.equal(lines.length, 1);
        assert.doesNotMatch(lines[0]?.slice(0, -1) ?? '', /[\p{Cc}\u2028\u2029\u202e]/u);
      }),
    );
  });
});

test('the JSON log has one object per line', () => {
  const lines: string[] = [];
  logTo(lines, { format: 'json' }).info('listening\n', { port: 8080 });
  assert.deepEqual(
    lines.map((line) => JSON.parse(line)),
    [{ level: 'info', time: '2026-11-22T10:00:00.123Z', port: 8080, msg: 'listening\n' }],
  );
});

test('levels below the configured one are not written', () => {
  const lines: string[] = [];
  const log = logTo(lines, { level: 'warn' });
  log.debug('no');
  log.info('no');
  log.warn('yes');
  log.error('yes');
  assert.equal(lines.length, 2);
});
