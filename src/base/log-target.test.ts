import assert from 'node:assert/strict';
import { test } from 'node:test';
import { logFileOf, parseLogTarget } from './log-target.ts';

test('a log goes to the standard output, to a file, or to a server of syslog', () => {
  for (const text of ['-', '/dev/stdout', '/dev/fd/1', '/proc/self/fd/1']) {
    assert.deepEqual(parseLogTarget(text), { kind: 'stdout' });
  }
  assert.deepEqual(parseLogTarget('/var/log/x'), { kind: 'file', path: '/var/log/x' });
  assert.deepEqual(parseLogTarget('logs/syslog'), { kind: 'file', path: 'logs/syslog' });
  assert.deepEqual(parseLogTarget('syslog://logs.example'), { kind: 'syslog-udp', host: 'logs.example', port: 514 });
  assert.deepEqual(parseLogTarget('syslog+tcp://10.0.0.1:601/'), { kind: 'syslog-tcp', host: '10.0.0.1', port: 601 });
  assert.deepEqual(parseLogTarget('syslog://[::1]:5514'), { kind: 'syslog-udp', host: '::1', port: 5514 });
  assert.deepEqual(parseLogTarget('syslog+unix:///run/x.sock'), { kind: 'syslog-unix', path: '/run/x.sock' });
});

test('a wrong URL of syslog is no file', () => {
  for (const text of [
    ...[
      'syslog:',
      'syslog://',
      'syslog:///dev/log',
      'syslog://a:0',
      'syslog://a:70000',
      'syslog://a:x',
      'syslog://a b',
    ],
    ...['syslog+unix://run/x', 'syslog+unix:///', 'syslog+udp://a', 'syslog+tls://a', 'syslog+://a', 'syslog://a/path'],
    ...['SYSLOG+UNIX://x', 'syslog://user@host'],
  ]) {
    assert.equal(parseLogTarget(text), null, text);
    assert.equal(logFileOf(text), null);
  }
  assert.equal(logFileOf('/x'), '/x');
  assert.equal(logFileOf('-'), null);
});
