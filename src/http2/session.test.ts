import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { data, FrameLines, frame, get, headers, noSettings, post } from '../../test/helpers/http2-frames.ts';
import { FrameType, Http2Error, pingFrame, resetFrame, settingsFrame, windowUpdateFrame } from './frame.ts';
import type { HeaderField } from './header-field.ts';
import { Session } from './session.ts';
import type { SessionOptions, SessionOutput, SessionOwner } from './session-options.ts';
import type { Http2Stream, StreamHandler } from './stream.ts';

const options: SessionOptions = {
  isServer: true,
  limits: { blockBytesMax: 10_000, listBytesMax: 10_000, fieldsMax: 100 },
  streamsMax: 3,
  streamWindowBytes: 1000,
  connectionWindowBytes: 70_000,
  takesProtocols: true,
  nowMs: () => 0,
};

/** One side of a connection, without a socket: the frames that it sends, and what its streams get. */
class Side implements SessionOwner {
  readonly session: Session;
  readonly streams: Http2Stream[] = [];
  /** Calls of the handlers of streams. */
  readonly events: string[] = [];
  readonly closed: number[] = [];
  private output = '';
  private readonly reader = new FrameLines();

  constructor(changes: Partial<SessionOptions> = {}) {
    const append = (text: string): void => {
      this.output += text;
    };
    const appendFramed: SessionOutput['appendFramed'] = (head, bytes, start, end) =>
      append(head + bytes.toString('latin1', start, end));
    this.session = new Session({ append, appendFramed }, this, { ...options, ...changes });
    this.session.start();
    this.sent();
  }

  /** @returns whether the connection goes on. */
  receive(...frames: readonly string[]): boolean {
    const bytes = Buffer.from(frames.join(''), 'latin1');
    return this.session.read(bytes, 0, bytes.length);
  }

  /** The frames since the last call, in lines. */
  sent(): string[] {
    const before = this.reader.lines.length;
    this.reader.read(Buffer.from(this.output, 'latin1'));
    this.output = '';
    return this.reader.lines.slice(before);
  }

  /** A stream of this number, which goes on. */
  stream(id: number): Http2Stream {
    return this.session.streams.get(id) as Http2Stream;
  }

  onStream(stream: Http2Stream, fields: readonly HeaderField[], isTooLarge: boolean, endsStream: boolean): void {
    this.streams.push(stream);
    const path = fields.find(({ name }) => name === ':path')?.value;
    this.events.push(`${stream.id} ${path}${isTooLarge ? ' too large' : ''}${endsStream ? ' end' : ''}`);
    stream.handler = this.handlerOf(stream);
  }

  handlerOf({ id }: Http2Stream): StreamHandler {
    const tell = (event: string): void => void this.events.push(`${id} ${event}`);
    return {
      onFields: (fields, _isTooLarge, endsStream) =>
        tell(`fields ${fields.map(({ name }) => name).join(' ')}${endsStream ? ' end' : ''}`),
      onData: (_bytes, start, end) => tell(`data ${end - start}`),
      onFlush: () => {},
      onEnd: () => tell('end'),
      onDrain: () => tell('drain'),
      onClosed: () => void this.closed.push(id),
      onReset: (code, detail, isUnprocessed) => tell(`reset ${code} ${detail}${isUnprocessed ? ' unprocessed' : ''}`),
    };
  }

  onOutput(): void {}
  onPingAck(): void {}
  onSettings(): void {}
  onGoAway(): void {}
}

/** A server whose client has sent its settings. */
function server(changes: Partial<SessionOptions> = {}, settings = noSettings): Side {
  const side = new Side(changes);
  side.receive(settings);
  assert.deepEqual(side.sent(), ['SETTINGS ack']);
  return side;
}

const bytes = Buffer.alloc(200_000, 'x');

test('a server announces its limits', () => {
  let output = '';
  const append = (text: string): void => {
    output += text;
  };
  new Session({ append, appendFramed: () => {} }, new Side(), options).start();
  assert.equal(
    Buffer.from(output, 'latin1').toString('hex'),
    // Window, section, streams, no priorities of RFC 7540, CONNECT with a protocol; and the window of the connection.
    '00001e040000000000' +
      '0004000003e8' +
      '000600002710' +
      '000300000003' +
      '000900000001' +
      '000800000001' +
      '0000040800000000000000' +
      '1171',
  );
});

test('a request and its response end a stream', () => {
  const side = server();
  side.receive(headers(1, get));
  const stream = side.stream(1);
  stream.sendFields('\x88');
  stream.sendData(Buffer.from('hello'), 0, 5);
  stream.sendEnd(null);
  assert.deepEqual(side.events, ['1 / end']);
  assert.deepEqual(side.sent(), ['HEADERS 1 :status: 200', 'DATA 1 hello', 'END 1']);
  assert.deepEqual([side.closed, side.session.streams.size], [[1], 0]);
});

test('data comes with its end, and trailers', () => {
  const side = server();
  side.receive(headers(1, post, false), data(1, 'abc'), data(1, 'de', true));
  side.receive(headers(3, post, false), data(3, 'abc'), headers(3, ['x: y']));
  assert.deepEqual(side.events, ['1 /', '1 data 3', '1 data 2', '1 end', '3 /', '3 data 3', '3 fields x end']);
  const stream = side.stream(3);
  stream.sendFields('\x88');
  stream.sendEnd('\0\x01a\x01b');
  assert.deepEqual(side.sent(), ['HEADERS 3 :status: 200', 'HEADERS 3 a: b', 'END 3']);
});

describe('flow control', () => {
  test('data waits for the window of its stream, then for that of the connection', () => {
    const side = server({}, settingsFrame([[4, 10]]));
    side.receive(headers(1, get));
    const stream = side.stream(1);
    stream.sendFields('\x88');
    stream.sendData(bytes, 0, 15);
    assert.equal(stream.flush(), false);
    assert.deepEqual(side.sent(), ['HEADERS 1 :status: 200', 'DATA 1 xxxxxxxxxx']);
    side.receive(windowUpdateFrame(1, 3));
    assert.deepEqual(side.sent(), ['DATA 1 xxx']);
    side.receive(windowUpdateFrame(1, 100_000));
    assert.deepEqual(side.sent(), ['DATA 1 xx']);
    side.session.settle();
    assert.deepEqual(side.events, ['1 / end', '1 drain']);
    stream.sendData(bytes, 0, 80_000);
    assert.equal(stream.flush(), false);
    assert.equal(side.session.sendWindow, 0);
    stream.sendEnd(null);
    side.sent();
    side.receive(windowUpdateFrame(0, 100_000));
    assert.deepEqual(side.sent().at(-1), 'END 1');
    assert.equal(side.session.streams.size, 0);
  });

  test('a change of the initial window counts for open streams, which may owe then', () => {
    const side = server({}, settingsFrame([[4, 100]]));
    side.receive(headers(1, get));
    const stream = side.stream(1);
    stream.sendFields('\x88');
    stream.sendData(bytes, 0, 100);
    stream.flush();
    side.receive(settingsFrame([[4, 50]]));
    assert.equal(stream.sendWindow, -50);
    stream.sendData(bytes, 0, 10);
    assert.equal(stream.flush(), false);
    side.sent();
    side.receive(windowUpdateFrame(1, 55));
    assert.deepEqual(side.sent(), ['DATA 1 xxxxx']);
  });

  test('a stream gives back what was taken, and nothing while it is paused', () => {
    const side = server();
    side.receive(headers(1, post, false), data(1, 'x'.repeat(400)));
    assert.deepEqual(side.sent(), []);
    side.receive(data(1, 'x'.repeat(200)));
    assert.deepEqual(side.sent(), ['WINDOW_UPDATE 1 600']);
    side.stream(1).pause();
    side.receive(data(1, 'x'.repeat(900)));
    assert.deepEqual(side.sent(), []);
    side.stream(1).resume();
    assert.deepEqual(side.sent(), ['WINDOW_UPDATE 1 900']);
  });

  test('paused streams do not hold up the others, up to a bound', () => {
    const side = server({ streamWindowBytes: 60_000, connectionWindowBytes: 65_535 });
    const send = (id: number) => Array.from({ length: 4 }, () => data(id, 'x'.repeat(10_000)));
    side.receive(headers(1, post, false));
    side.stream(1).pause();
    side.receive(...send(1));
    assert.deepEqual(side.sent(), ['WINDOW_UPDATE 0 40000']);
    side.receive(headers(3, post, false));
    side.stream(3).pause();
    side.receive(...send(3));
    // 80,000 bytes are kept.
    assert.deepEqual(side.sent(), []);
    side.stream(1).resume();
    assert.deepEqual(side.sent(), ['WINDOW_UPDATE 0 40000', 'WINDOW_UPDATE 1 40000']);
  });

  test('a frame waits as long as the socket is slow, and its stream hears when it is not', () => {
    const side = server();
    side.receive(headers(1, get));
    const stream = side.stream(1);
    side.session.isFlowing = false;
    stream.sendFields('\x88');
    stream.sendData(bytes, 0, 5);
    assert.equal(stream.flush(), false);
    assert.deepEqual(side.sent(), ['HEADERS 1 :status: 200']);
    side.session.resume();
    assert.deepEqual(side.sent(), ['DATA 1 xxxxx']);
    assert.deepEqual(side.events, ['1 / end', '1 drain']);
  });
});

describe('priorities', () => {
  /** Three responses that wait for the socket. @param priorities of streams 1, 3 and 5. */
  function order(priorities: readonly string[]): string[] {
    const side = server({ streamsMax: 10 });
    side.session.isFlowing = false;
    for (const [i, priority] of priorities.entries()) {
      const id = 2 * i + 1;
      side.receive(headers(id, get));
      side.session.setPriority(side.stream(id), priority);
      side.stream(id).sendData(bytes, 0, 20_000);
      side.stream(id).sendEnd(null);
    }
    side.sent();
    side.session.sendWindow = 1_000_000;
    side.session.resume();
    return side.sent().map((line) => line.replace(/ bytes$/, ''));
  }

  test('the more urgent response is first; of the same urgency, the first one', () => {
    assert.deepEqual(order(['u=5', 'u=1', '']), [
      ...['DATA 3 16384', 'DATA 3 3616', 'END 3', 'DATA 5 16384', 'DATA 5 3616', 'END 5'],
      ...['DATA 1 16384', 'DATA 1 3616', 'END 1'],
    ]);
  });

  test('incremental responses take turns', () => {
    assert.deepEqual(order(['i', 'i=?1', 'i, u=3']), [
      ...['DATA 1 16384', 'DATA 3 16384', 'DATA 5 16384'],
      ...['DATA 1 3616', 'END 1', 'DATA 3 3616', 'END 3', 'DATA 5 3616', 'END 5'],
    ]);
  });

  test('a priority that is not of that form changes nothing', () => {
    assert.deepEqual(order(['u=9', 'u=x, y', 'u=-1;q']).slice(0, 3), ['DATA 1 16384', 'DATA 1 3616', 'END 1']);
  });
});

/** RFC 9113, by what the client does: its frames, and those that it gets. Streams 1 and 3 are open, 1 has no body. */
const clauses: readonly (readonly [what: string, frames: readonly string[], sent: readonly string[]])[] = [
  ['5.1: DATA on an idle stream', [data(5, 'x')], ['GOAWAY 3 PROTOCOL_ERROR']],
  ['5.1: RST_STREAM of an idle stream', [resetFrame(5, 8)], ['GOAWAY 3 PROTOCOL_ERROR']],
  ['5.1: WINDOW_UPDATE of an idle stream', [windowUpdateFrame(5, 1)], ['GOAWAY 3 PROTOCOL_ERROR']],
  ['5.1: DATA behind the end', [data(1, 'x')], ['RST_STREAM 1 STREAM_CLOSED']],
  ['5.1: HEADERS behind the end', [headers(1, ['x: y'])], ['RST_STREAM 1 STREAM_CLOSED']],
  ['5.1.1: a stream of an even number', [headers(2, get)], ['GOAWAY 3 PROTOCOL_ERROR']],
  ['5.1.2: more streams than announced', [headers(5, get), headers(7, get)], ['RST_STREAM 7 REFUSED_STREAM']],
  [
    '5.1: frames of a stream that was refused',
    [headers(5, get), headers(7, post, false), data(7, 'x')],
    ['RST_STREAM 7 REFUSED_STREAM'],
  ],
  ['6.3: a PRIORITY of another length', [frame(FrameType.PRIORITY, 0, 3, '\0')], ['RST_STREAM 3 FRAME_SIZE_ERROR']],
  ['6.5.3: SETTINGS are acknowledged', [settingsFrame([[0xf000, 7]])], ['SETTINGS ack']],
  ['6.7: PING is answered', [pingFrame(false, '12345678'), pingFrame(true, '87654321')], ['PING ack 12345678']],
  ['6.9: WINDOW_UPDATE of 0', [windowUpdateFrame(3, 0)], ['RST_STREAM 3 PROTOCOL_ERROR']],
  ['6.9.1: a window that overflows', [windowUpdateFrame(3, 0x7fff_ffff)], ['RST_STREAM 3 FLOW_CONTROL_ERROR']],
  [
    '6.9.1: the window of the connection overflows',
    [windowUpdateFrame(0, 0x7fff_ffff)],
    ['GOAWAY 3 FLOW_CONTROL_ERROR'],
  ],
  [
    '6.9.2: a window overflows by a setting',
    [windowUpdateFrame(3, 100_000), settingsFrame([[4, 0x7fff_ffff]])],
    ['SETTINGS ack', 'GOAWAY 3 FLOW_CONTROL_ERROR'],
  ],
  ['6.9.1: more data than the window', [data(3, 'x'.repeat(1001))], ['RST_STREAM 3 FLOW_CONTROL_ERROR']],
  ['8.1: trailers that do not end the stream', [headers(3, ['x: y'], false)], ['RST_STREAM 3 PROTOCOL_ERROR']],
  ['6.4: frames behind a reset of the client', [resetFrame(3, 8), data(3, 'x')], ['RST_STREAM 3 STREAM_CLOSED']],
  ['6.6: push of a client', [frame(FrameType.PUSH_PROMISE, 4, 3, '\0\0\0\x02')], ['GOAWAY 3 PROTOCOL_ERROR']],
  ['5.5: a frame of an unknown type', [frame(0xbb, 0xff, 3, 'xyz')], []],
  [
    'RFC 9218 section 7.1: a priority of an unknown stream',
    [frame(FrameType.PRIORITY_UPDATE, 0, 0, '\0\0\0\x63u=0')],
    [],
  ],
];

for (const [what, frames, sent] of clauses) {
  test(`RFC 9113 section ${what}`, () => {
    const side = server();
    side.receive(headers(1, get), headers(3, post, false));
    side.sent();
    side.receive(...frames);
    assert.deepEqual(side.sent(), sent);
    const isOver = sent.some((line) => line.startsWith('GOAWAY'));
    assert.equal(side.session.ended !== null, isOver);
    // Streams end once, whatever follows.
    if (isOver) assert.equal(side.session.streams.size, 0);
  });
}

test('a body that is not as long as its content length resets its stream', () => {
  for (const [frames, length] of [
    [[data(1, 'abcdef')], 5],
    [[data(1, 'abcd', true)], 5],
    [[headers(1, ['x: y'])], 5],
  ] as const) {
    const side = server();
    side.receive(headers(1, post, false));
    side.stream(1).expectedBytes = length;
    side.receive(...frames);
    assert.deepEqual(side.sent(), ['RST_STREAM 1 PROTOCOL_ERROR']);
    assert.match(side.events.at(-1) ?? '', /^1 reset 1 (more|less) data/);
  }
});

test('a client that goes has its streams reset; the end of a session tells all of them', () => {
  const side = server();
  side.receive(headers(1, get), headers(3, post, false), resetFrame(1, 8));
  assert.deepEqual(side.events.at(-1), '1 reset 8 reset');
  side.session.abandon(Http2Error.NO_ERROR, 'closed');
  assert.deepEqual(side.events.at(-1), '3 reset 0 closed');
});

test('a response that is complete before its request ends both', () => {
  const side = server();
  side.receive(headers(1, post, false));
  const stream = side.stream(1);
  stream.sendFields('\x88');
  stream.sendEnd(null);
  stream.stopReceiving();
  assert.deepEqual(side.sent(), ['HEADERS 1 :status: 200', 'END 1', 'RST_STREAM 1 NO_ERROR']);
  // The rest that is under way is no error.
  side.receive(data(1, 'x'), data(1, 'y', true));
  assert.deepEqual(side.sent(), []);
});

test('after GOAWAY, streams that were under way are taken, and then none', () => {
  const side = server();
  side.receive(headers(1, get));
  side.session.goAway(true);
  side.receive(headers(3, get));
  side.session.goAway(false);
  side.receive(headers(5, get), data(5, 'x'));
  assert.deepEqual(side.sent(), ['GOAWAY 2147483647 NO_ERROR', 'GOAWAY 3 NO_ERROR']);
  assert.deepEqual(side.events, ['1 / end', '3 / end']);
});

describe('floods', () => {
  const many = 30_000;
  const floods: Readonly<Record<string, (i: number) => string>> = {
    'rapid reset (CVE-2023-44487)': (i) => headers(2 * i + 1, get) + resetFrame(2 * i + 1, 8),
    'resets provoked from the server (CVE-2025-8671)': (i) =>
      headers(2 * i + 1, post, false) + windowUpdateFrame(2 * i + 1, 0),
    'streams above the limit': (i) => headers(2 * i + 1, get),
    'pings (CVE-2019-9512)': () => pingFrame(false, '12345678'),
    'settings (CVE-2019-9515)': () => noSettings,
    'empty data (CVE-2019-9518)': (i) => (i === 0 ? headers(1, post, false) : data(1, '')),
    'priorities (CVE-2019-9513)': () => frame(FrameType.PRIORITY, 0, 1, '\0\0\0\0\0'),
    'updates of windows': () => windowUpdateFrame(0, 1),
    'unknown frames': () => frame(0xee, 0, 0),
    'acknowledgements of settings': () => frame(FrameType.SETTINGS, 1, 0),
    'empty header blocks (CVE-2019-9518)': (i) =>
      i === 0 ? frame(FrameType.HEADERS, 0, 1) : frame(FrameType.CONTINUATION, 0, 1),
    'continuations of a byte (CVE-2024-27316)': (i) =>
      i === 0 ? frame(FrameType.HEADERS, 0, 1) : frame(FrameType.CONTINUATION, 0, 1, '\x82'),
  };
  for (const [what, frames] of Object.entries(floods)) {
    test(`${what}: the connection ends`, () => {
      const side = server();
      let sent = 0;
      while (sent < many && side.receive(frames(sent))) sent++;
      assert.ok(sent < many, 'none ended it');
      assert.equal(side.session.ended, Http2Error.ENHANCE_YOUR_CALM);
      assert.equal(side.session.streams.size, 0);
    });
  }

  test('clients that exchange messages may cancel some, ping and update windows', () => {
    const side = server();
    for (let i = 0; i < many; i++) {
      const id = 2 * i + 1;
      const isCancelled = i % 3 === 0;
      assert.ok(side.receive(headers(id, get), windowUpdateFrame(0, 100), pingFrame(false, '12345678')));
      const stream = side.stream(id);
      stream.sendFields('\x88');
      stream.sendData(bytes, 0, 10);
      stream.flush();
      if (isCancelled) assert.ok(side.receive(resetFrame(id, 8)));
      else stream.sendEnd(null);
    }
  });
});

describe('a client', () => {
  function client(): Side {
    return new Side({ isServer: false });
  }

  test('begins streams, gets informational responses, a response and its trailers', () => {
    const side = client();
    side.receive(noSettings);
    const stream = side.session.open() as Http2Stream;
    stream.handler = side.handlerOf(stream);
    stream.sendOnlyFields('\x82');
    side.receive(
      headers(1, [':status: 103'], false),
      headers(1, [':status: 200'], false),
      data(1, 'abc'),
      headers(1, ['x: y']),
    );
    assert.deepEqual(side.sent(), ['SETTINGS ack', 'HEADERS 1 :method: GET', 'END 1']);
    assert.deepEqual(side.events, ['1 fields :status', '1 fields :status', '1 data 3', '1 fields x end']);
    assert.deepEqual(side.closed, [1]);
  });

  test('learns which streams the server has not processed', () => {
    const side = client();
    side.receive(noSettings);
    for (let i = 0; i < 3; i++) {
      const stream = side.session.open() as Http2Stream;
      stream.handler = side.handlerOf(stream);
      stream.sendOnlyFields('\x82');
    }
    side.receive(resetFrame(1, Http2Error.REFUSED_STREAM), frame(FrameType.GOAWAY, 0, 0, '\0\0\0\x03\0\0\0\0'));
    assert.deepEqual(side.events, ['1 reset 7 reset unprocessed', '5 reset 0 the peer goes away unprocessed']);
    assert.equal(side.session.streams.size, 1);
  });

  test('takes no push, and no stream of a server', () => {
    for (const frames of [settingsFrame([[2, 1]]), noSettings + headers(2, get)]) {
      const side = client();
      side.receive(frames);
      assert.equal(side.session.ended, Http2Error.PROTOCOL_ERROR);
    }
  });
});
