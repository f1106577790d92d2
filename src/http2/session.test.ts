import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { data, frame, get, headers, noSettings, post } from '../../test/helpers/http2-frames.ts';
import { Side, server, sideOptions } from '../../test/helpers/http2-side.ts';
import { FieldLines } from '../http/field-lines.ts';
import { FrameType, Http2Error, pingFrame, resetFrame, settingsFrame, windowUpdateFrame } from './frame.ts';
import { ResponseBlocks } from './response-blocks.ts';
import { Session } from './session.ts';
import type { Http2Stream } from './stream.ts';

const bytes = Buffer.alloc(200_000, 'x');

test('a server announces its limits', () => {
  let output = '';
  const append = (text: string): void => {
    output += text;
  };
  new Session({ append, appendFramed: () => {} }, new Side(), sideOptions).start();
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
  stream.sendEnd(new FieldLines('a: b\r\n'));
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
  stream.stopReceiving(true);
  assert.deepEqual(side.sent(), ['HEADERS 1 :status: 200', 'END 1', 'RST_STREAM 1 NO_ERROR']);
  // The rest that is under way is no error.
  side.receive(data(1, 'x'), data(1, 'y', true));
  assert.deepEqual(side.sent(), []);
});

test('the rest of a request that nobody wants is passed over, with its windows given back', () => {
  const side = server();
  side.receive(headers(1, post, false));
  const stream = side.stream(1);
  stream.pause();
  stream.sendFields('\x88');
  stream.sendEnd(null);
  stream.stopReceiving(false);
  side.sent();
  side.receive(data(1, 'x'.repeat(900)), data(1, 'x'.repeat(900)));
  assert.deepEqual(side.sent(), ['WINDOW_UPDATE 1 900', 'WINDOW_UPDATE 1 900']);
  side.receive(data(1, '', true));
  assert.deepEqual([side.events, side.closed, side.sent()], [['1 /'], [1], []]);
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

test('trailers are encoded when they leave, behind the heads that overtake them', () => {
  const side = server({}, settingsFrame([[4, 3]]));
  side.receive(headers(1, get), headers(3, get));
  const [first, second] = [side.stream(1), side.stream(3)];
  first.sendFields('\x88');
  first.sendData(bytes, 0, 5);
  first.sendEnd(new FieldLines('x-sum: 123\r\n'));
  const blocks = new ResponseBlocks(side.session.encoder);
  second.sendOnlyFields(blocks.ofLines(200, new FieldLines('x-other: 1\r\n')));
  side.receive(windowUpdateFrame(1, 10));
  assert.deepEqual(side.sent(), [
    ...['HEADERS 1 :status: 200', 'DATA 1 xxx', 'HEADERS 3 :status: 200, x-other: 1', 'END 3'],
    ...['DATA 1 xx', 'HEADERS 1 x-sum: 123', 'END 1'],
  ]);
});

test('data that waits goes on, turn by turn, without further updates of windows', () => {
  const side = server({ streamsMax: 20 }, settingsFrame([[4, 10_000]]));
  for (let id = 1; id < 40; id += 2) {
    side.receive(headers(id, get));
    side.stream(id).sendData(bytes, 0, 50_000);
    side.stream(id).sendEnd(null);
  }
  side.receive(windowUpdateFrame(0, 10_000_000), settingsFrame([[4, 1_000_000]]));
  for (let turns = 0; turns < 10; turns++) side.session.settle();
  assert.equal(side.session.streams.size, 0);
});

test('a body that has come as a whole does not count as kept, though its stream is paused', () => {
  const side = server({ streamsMax: 20, streamWindowBytes: 60_000, connectionWindowBytes: 65_535 });
  for (let id = 1; id < 20; id += 2) {
    side.receive(headers(id, post, false));
    side.stream(id).pause();
    side.receive(...Array.from({ length: 4 }, (_, i) => data(id, 'x'.repeat(10_000), i === 3)));
  }
  assert.equal(side.session.ended, null);
  assert.ok(side.sent().filter((line) => line.startsWith('WINDOW_UPDATE 0')).length >= 9);
});

test('nothing that follows the end in the same read begins', () => {
  const side = server();
  side.onPingAck = () => side.session.end(Http2Error.NO_ERROR, 'idle');
  assert.equal(side.receive(pingFrame(true, '12345678'), headers(1, get), pingFrame(false, '12345678')), false);
  assert.deepEqual([side.events, side.sent()], [[], ['GOAWAY 0 NO_ERROR']]);
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

  test('takes no informational response for the end of a stream', () => {
    const side = client();
    side.receive(noSettings);
    const stream = side.session.open() as Http2Stream;
    stream.handler = side.handlerOf(stream);
    stream.sendOnlyFields('\x82');
    side.receive(headers(1, [':status: 103']));
    assert.deepEqual(side.sent().at(-1), 'RST_STREAM 1 PROTOCOL_ERROR');
    assert.deepEqual(side.events, ['1 reset 1 the end before the head']);
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
