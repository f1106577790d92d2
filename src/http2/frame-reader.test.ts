import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { block, data, FrameLines, frame, get, headers, noSettings, post } from '../../test/helpers/http2-frames.ts';
import {
  FrameType,
  goAwayFrame,
  headersFrames,
  pingFrame,
  resetFrame,
  settingsFrame,
  windowUpdateFrame,
} from './frame.ts';
import { type FrameSink, Http2FrameReader } from './frame-reader.ts';

const everyFrame = [
  settingsFrame([
    [3, 100],
    [4, 1_000_000],
  ]),
  frame(FrameType.SETTINGS, 1, 0),
  headers(1, get),
  // Padded, with a priority.
  frame(FrameType.HEADERS, 0x2d, 3, `\x03\0\0\0\0\x10${block(...get)}\0\0\0`),
  headersFrames(block(...post, `x-long: ${'y'.repeat(500)}`), 0, 5, 100),
  data(5, 'hello'),
  data(5, ''),
  frame(FrameType.DATA, 0x08, 5, `\x04padded\0\0\0\0`),
  frame(FrameType.DATA, 0x09, 5, `\x02\0\0`),
  frame(FrameType.PRIORITY, 0, 7, '\0\0\0\0\x10'),
  pingFrame(false, '12345678'),
  pingFrame(true, 'abcdefgh'),
  windowUpdateFrame(0, 10),
  windowUpdateFrame(5, 20),
  frame(FrameType.PRIORITY_UPDATE, 0, 0, '\0\0\0\x05u=1, i'),
  frame(0xee, 0xff, 9, 'of an unknown type'),
  resetFrame(5, 8),
  goAwayFrame(5, 0),
].join('');

const expected = [
  'SETTINGS',
  'SETTINGS ack',
  `HEADERS 1 ${get.join(', ')}`,
  'END 1',
  `HEADERS 3 ${get.join(', ')}`,
  'END 3',
  `HEADERS 5 ${post.join(', ')}, x-long: ${'y'.repeat(500)}`,
  'DATA 5 hello',
  'DATA 5 padded',
  'END 5',
  'PING 12345678',
  'PING ack abcdefgh',
  'WINDOW_UPDATE 0 10',
  'WINDOW_UPDATE 5 20',
  'PRIORITY_UPDATE 5 u=1, i',
  'RST_STREAM 5 CANCEL',
  'GOAWAY 5 NO_ERROR',
];

/** Pieces of the same data are one. */
function merged(lines: readonly string[]): string {
  return lines.join('\n').replaceAll('\nDATA 5 ', '');
}

test('frames are read, however they are cut', () => {
  const bytes = Buffer.from(everyFrame, 'latin1');
  const whole = new FrameLines();
  whole.read(bytes);
  assert.deepEqual(whole.lines, expected);
  const cuts = fc.array(fc.nat(bytes.length), { maxLength: 30 });
  fc.assert(
    fc.property(cuts, (places) => {
      const lines = new FrameLines();
      let start = 0;
      for (const end of [...places.toSorted((a, b) => a - b), bytes.length]) {
        // A copy: nothing may be looked at after the call.
        const part = Buffer.from(bytes.subarray(start, end));
        lines.read(part);
        part.fill(0xff);
        start = end;
      }
      assert.equal(merged(lines.lines), merged(expected));
    }),
  );
  const lines = new FrameLines();
  for (let at = 0; at < bytes.length; at++) lines.read(bytes.subarray(at, at + 1));
  assert.equal(merged(lines.lines), merged(expected));
});

const long = '\0'.repeat(16_385);

/** RFC 9113, by what is wrong: the frames behind the settings, and the error. */
const errors: readonly (readonly [what: string, frames: string, error: string])[] = [
  ['4.2: a frame that is too large', frame(FrameType.DATA, 0, 1, long), '6'],
  ['4.3, 6.10: another frame in a header block', frame(FrameType.HEADERS, 0, 1, block(...get)) + data(1, 'x'), '1'],
  ['6.10: a CONTINUATION of another stream', frame(FrameType.HEADERS, 0, 1) + frame(FrameType.CONTINUATION, 4, 3), '1'],
  ['6.10: a frame of an unknown type in a header block', frame(FrameType.HEADERS, 0, 1) + frame(0xee, 0, 1), '1'],
  ['6.10: a CONTINUATION without HEADERS', frame(FrameType.CONTINUATION, 4, 1, block(...get)), '1'],
  ['6.10: a CONTINUATION behind the end', headers(1, get) + frame(FrameType.CONTINUATION, 4, 1), '1'],
  ['6.1: DATA on stream 0', data(0, 'x'), '1'],
  ['6.1: padding as long as the frame', frame(FrameType.DATA, 8, 1, '\x03ab'), '1'],
  ['6.1: a padded frame without its length', frame(FrameType.DATA, 8, 1), '6'],
  ['6.2: HEADERS on stream 0', headers(0, get), '1'],
  ['6.2: padding longer than the block', frame(FrameType.HEADERS, 0xd, 1, '\x05\x82'), '1'],
  ['6.2: a priority that is cut off', frame(FrameType.HEADERS, 0x25, 1, '\0\0'), '1'],
  ['4.3: a block that cannot be decoded', frame(FrameType.HEADERS, 5, 1, '\x80'), '9'],
  ['6.3: PRIORITY on stream 0', frame(FrameType.PRIORITY, 0, 0, '\0\0\0\0\0'), '1'],
  ['6.4: RST_STREAM on stream 0', resetFrame(0, 0), '1'],
  ['6.4: RST_STREAM of another length', frame(FrameType.RST_STREAM, 0, 1, '\0'), '6'],
  ['6.5: SETTINGS on a stream', frame(FrameType.SETTINGS, 0, 1), '1'],
  ['6.5: SETTINGS of another length', frame(FrameType.SETTINGS, 0, 0, '\0'), '6'],
  ['6.5: an acknowledgement with settings', frame(FrameType.SETTINGS, 1, 0, '\0\0\0\0\0\0'), '6'],
  ['6.5.2: ENABLE_PUSH of 2', settingsFrame([[2, 2]]), '1'],
  ['6.5.2: a window of 2^31', settingsFrame([[4, 0x8000_0000]]), '3'],
  ['6.5.2: frames of 16383 bytes', settingsFrame([[5, 16_383]]), '1'],
  ['6.5.2: frames of 2^24 bytes', settingsFrame([[5, 0x100_0000]]), '1'],
  ['RFC 8441 section 3: ENABLE_CONNECT_PROTOCOL of 2', settingsFrame([[8, 2]]), '1'],
  ['8.4: PUSH_PROMISE of a client', frame(FrameType.PUSH_PROMISE, 4, 1, `\0\0\0\x02${block(...get)}`), '1'],
  ['6.7: PING on a stream', frame(FrameType.PING, 0, 1, '12345678'), '1'],
  ['6.7: PING of another length', frame(FrameType.PING, 0, 0, '1234567'), '6'],
  ['6.8: GOAWAY on a stream', frame(FrameType.GOAWAY, 0, 1, '12345678'), '1'],
  ['6.8: GOAWAY of another length', frame(FrameType.GOAWAY, 0, 0, '1234567'), '6'],
  ['6.9: WINDOW_UPDATE of 0 on the connection', windowUpdateFrame(0, 0), '1'],
  ['6.9: WINDOW_UPDATE of another length', frame(FrameType.WINDOW_UPDATE, 0, 0, '\0\0\x01'), '6'],
  ['RFC 9218 section 7.1: PRIORITY_UPDATE on a stream', frame(FrameType.PRIORITY_UPDATE, 0, 1, '\0\0\0\x01'), '1'],
  ['RFC 9218 section 7.1: PRIORITY_UPDATE of stream 0', frame(FrameType.PRIORITY_UPDATE, 0, 0, '\0\0\0\0u=1'), '1'],
  ['RFC 9218 section 7.1: PRIORITY_UPDATE that is cut off', frame(FrameType.PRIORITY_UPDATE, 0, 0, '\0'), '6'],
];

/** @returns the error; 0 for none. */
function errorOf(frames: string, cut: number): number {
  const sink: FrameSink = new FrameLines();
  const reader = new Http2FrameReader(sink, { blockBytesMax: 1000, listBytesMax: 1000, fieldsMax: 10 });
  const bytes = Buffer.from(frames, 'latin1');
  for (let at = 0; at < bytes.length; at += cut) reader.read(bytes, at, Math.min(bytes.length, at + cut));
  return reader.error;
}

for (const [what, frames, error] of errors) {
  test(`an error of the connection: ${what}`, () => {
    assert.equal(errorOf(noSettings + frames, Number.POSITIVE_INFINITY), Number(error));
    assert.equal(errorOf(noSettings + frames, 1), Number(error));
  });
}

test('a connection begins with settings', () => {
  for (const first of [headers(1, get), frame(FrameType.SETTINGS, 1, 0), pingFrame(false, '12345678')]) {
    assert.equal(errorOf(first, 1000), 1);
  }
});

test('a header block that is too long ends the connection, in one frame or in many', () => {
  const lines = [...get, `x: ${'y'.repeat(2000)}`];
  assert.equal(errorOf(noSettings + headers(1, lines), 10_000), 11);
  assert.equal(errorOf(noSettings + headersFrames(block(...lines), 1, 1, 10), 10_000), 11);
});

test('of a section that is too large, the fields within the limit come, and the next one is decoded', () => {
  const sections: (readonly [number, boolean])[] = [];
  const sink = new FrameLines();
  sink.onHeaders = (_stream, fields, isTooLarge) => void sections.push([fields.length, isTooLarge]);
  const reader = new Http2FrameReader(sink, { blockBytesMax: 1000, listBytesMax: 1000, fieldsMax: 10 });
  const many = Array.from({ length: 12 }, (_, i) => `x${i}: y`);
  const bytes = Buffer.from(
    noSettings + headers(1, many) + headers(3, ['a: b', `c: ${'0'.repeat(1000)}`]) + headers(5, get),
    'latin1',
  );
  assert.ok(reader.read(bytes, 0, bytes.length));
  assert.deepEqual(sections, [
    [10, true],
    [1, true],
    [4, false],
  ]);
});
