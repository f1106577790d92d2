import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { freePort } from '../../test/helpers/free-port.ts';
import { RsyslogServer, type SyslogMessage } from '../../test/helpers/rsyslog-server.ts';
import { until } from '../../test/helpers/until.ts';
import { parseLogTarget } from '../base/log-target.ts';
import { messageBytesMax, SyslogMessages } from './syslog-message.ts';
import { SyslogSink } from './syslog-sink.ts';
import { SyslogDatagrams, SyslogStream } from './syslog-transports.ts';

const nowMs = Date.UTC(2026, 10, 22, 9, 39, 32, 12);
let problems: string[];

function open(url: string, bufferBytesMax = 1024 * 1024): { sink: SyslogSink; log(line: string): void } {
  const target = parseLogTarget(url);
  assert.ok(target !== null && target.kind !== 'file' && target.kind !== 'stdout');
  const transport =
    target.kind === 'syslog-udp' ? new SyslogDatagrams(target.host, target.port) : new SyslogStream(target);
  const messages = new SyslogMessages('local3', () => nowMs, 'web 1\xe9', 4711);
  const onProblem = (message: string): void => void problems.push(message);
  const sink = new SyslogSink({ url, messages, transport, bufferBytesMax, onProblem });
  const log = (line: string): void => {
    if (sink.takes()) sink.write(`${line}\n`);
  };
  return { sink, log };
}

beforeEach(() => {
  problems = [];
});

describe('rsyslog', () => {
  let server: RsyslogServer;

  before(async () => {
    server = await RsyslogServer.start();
  });

  after(() => server.remove());

  function received(mark: string): readonly SyslogMessage[] {
    return server.messages().filter(({ text }) => text.includes(mark));
  }

  for (const [index, input] of ['imudp', 'imtcp', 'imptcp'].entries()) {
    it(`understands every part of a message over ${input}`, async () => {
      const { log, sink } = open(server.urls[index] ?? '');
      log(`${input}-1 {"a":"b \\u00e9 # \\"c\\""}`);
      log(`${input}-2 ${'x'.repeat(sink.lineBytesMax - 10)}`);
      await until('the messages', () => received(`${input}-`).length === 2);
      await sink.close(10_000);
      const [first, second] = received(`${input}-`).toSorted((a, b) => (a.text < b.text ? -1 : 1));
      assert.deepEqual(first, {
        ...{ input, facility: 'local3', severity: 'info', timestamp: '2026-11-22T09:39:32.012Z', host: 'web1' },
        ...{ program: 'hipache', processId: '4711', messageId: 'access', data: '[meta sequenceId="1"]' },
        text: `${input}-1 {"a":"b \\u00e9 # \\"c\\""}`,
      });
      assert.equal(second?.text.length, `${input}-2 `.length + sink.lineBytesMax - 10);
      assert.equal(second?.data, '[meta sequenceId="2"]');
      assert.deepEqual([sink.dropped, problems], [0, []]);
    });

    it(`gets all that was written before the end, in order, over ${input}`, async () => {
      const { log, sink } = open(server.urls[index] ?? '');
      // Within what a socket for datagrams buffers.
      const count = input === 'imudp' ? 100 : 5000;
      for (let number = 0; number < count; number++) log(`${input}-all-${number}`);
      await sink.close(60_000);
      await until('the messages', () => received(`${input}-all-`).length >= count);
      const texts = received(`${input}-all-`).map(({ text }) => text);
      assert.deepEqual(
        texts,
        Array.from({ length: count }, (_, number) => `${input}-all-${number}`),
      );
      assert.equal(sink.dropped, 0);
    });
  }

  it('gets what was written while it was away, and the log says when it was', async () => {
    const sinks = server.urls.map((url) => open(url));
    await server.kill();
    for (const [index, { log }] of sinks.entries()) log(`away-${index}-first`);
    // The first datagram to a port without a server is lost: the answer to it says so.
    await until('the problems', () => problems.length === 3);
    const [datagrams, ...streams] = sinks;
    for (const [index, { log }] of streams.entries()) log(`away-${index}-second`);
    await server.start();
    for (const index of streams.keys()) await until('the message', () => received(`away-${index}-second`).length > 0);
    await until('a datagram', () => {
      datagrams?.log('away-datagram');
      return received('away-datagram').length > 0;
    });
    await until('the end of the problem', async () => {
      for (const { log } of sinks) log('still-there');
      return problems.filter((problem) => /can be sent to .* again/.test(problem)).length === 3;
    });
    for (const { sink } of sinks) await sink.close(10_000);
    assert.ok(problems.every((problem) => /^(cannot send the access log to|the access log can be sent)/.test(problem)));
    assert.deepEqual(
      sinks.map(({ sink }) => sink.dropped),
      [0, 0, 0],
    );
  });
});

describe('a server of syslog over TCP', () => {
  let server: Server;
  let clients: Socket[];
  let text: string;
  let isReading: boolean;
  let url: string;

  beforeEach(async () => {
    clients = [];
    text = '';
    isReading = true;
    server = createServer((socket) => {
      clients.push(socket);
      socket.on('error', () => {});
      if (!isReading) socket.pause();
      socket.setEncoding('latin1');
      socket.on('data', (bytes: string) => {
        text += bytes;
      });
    });
    const port = await freePort();
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    url = `syslog+tcp://127.0.0.1:${port}`;
  });

  afterEach(() => {
    for (const client of clients) client.destroy();
    server.close();
  });

  /** The messages by their counted octets. */
  function frames(): string[] {
    const found: string[] = [];
    let at = 0;
    for (;;) {
      const [, digits] = /^(\d+) /.exec(text.slice(at, at + 10)) ?? [];
      const start = at + (digits ?? '').length + 1;
      if (digits === undefined || text.length < start + Number(digits)) return found;
      found.push(text.slice(start, start + Number(digits)));
      at = start + Number(digits);
    }
  }

  it('gets the length of each message in octets, also of bytes beyond ASCII', async () => {
    const { log, sink } = open(url);
    log('caf\xe9');
    log('second');
    await sink.close(10_000);
    await until('the messages', () => frames().length === 2);
    assert.equal(
      text,
      '83 <158>1 2026-11-22T09:39:32.012Z web1 hipache 4711 access [meta sequenceId="1"] caf\xe9' +
        '85 <158>1 2026-11-22T09:39:32.012Z web1 hipache 4711 access [meta sequenceId="2"] second',
    );
  });

  it('is connected to anew by reopen, and loses no line', async () => {
    const { log, sink } = open(url);
    for (let turn = 0; turn < 5; turn++) {
      for (let number = 0; number < 1000; number++) log(`line ${turn}.${number}`);
      await until('some messages', () => frames().length > 1000 * turn);
      sink.reopen();
    }
    await sink.close(10_000);
    assert.ok(clients.length > 1);
    assert.equal(sink.dropped, 0);
    await until('the messages', () => frames().length === 5000);
    assert.deepEqual(problems, []);
  });

  it('that does not read delays nothing: lines beyond the buffer are dropped and counted', async () => {
    isReading = false;
    const { log, sink } = open(url, 100_000);
    await until('the connection', () => clients.length === 1);
    // Until the buffers of both kernels are full, lines are taken again after a moment.
    const line = 'x'.repeat(1000);
    let refused = 0;
    await until('a full buffer', () => {
      refused = sink.takes() ? 0 : refused + 1;
      for (let number = 0; number < 200; number++) log(line);
      return refused > 20;
    });
    assert.match(problems[0] ?? '', /is too slow: dropping lines/);
    assert.ok(problems.length < 100, 'not one for each line');
    const before = sink.dropped;
    await sink.close(50);
    assert.ok(sink.dropped > before, 'what is left is counted at the end');
    assert.equal(sink.takes(), false);
  });
});

describe('a Unix socket for datagrams', () => {
  it('is reported with what to do', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'hipache-datagrams-'));
    const path = join(directory, 'log');
    const program = `use Socket; socket(my $s, PF_UNIX, SOCK_DGRAM, 0); bind($s, pack_sockaddr_un($ARGV[0])); $| = 1; print "ready\\n"; sleep 600`;
    const child = spawn('perl', ['-e', program, path], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      await new Promise((resolve) => child.stdout.once('data', resolve));
      const { log, sink } = open(`syslog+unix://${path}`);
      log('lost');
      await until('the problem', () => problems.length > 0);
      assert.match(problems[0] ?? '', /it is a socket for datagrams.*stream socket, or on UDP/);
      await sink.close(600_000);
      assert.equal(sink.dropped, 1);
    } finally {
      child.kill('SIGKILL');
      rmSync(directory, { recursive: true });
    }
  });
});

it('a message fits what servers take, with its header', () => {
  const messages = new SyslogMessages('local7', () => nowMs, 'x'.repeat(300), 4_194_304);
  const line = 'y'.repeat(messageBytesMax - messages.headBytesMax);
  assert.ok(messages.of(line).length <= messageBytesMax);
  assert.ok(messages.headBytesMax < 400);
  assert.match(new SyslogMessages('kern', () => nowMs, '', 1).of('z'), /^<6>1 \S+ - hipache 1 access /);
});
