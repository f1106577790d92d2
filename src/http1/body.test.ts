import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BodyReader, type BodySink } from './body.ts';
import { Framing } from './head.ts';

class Sink implements BodySink {
  readonly pieces: string[] = [];

  onBodyData(bytes: Buffer, start: number, end: number): void {
    this.pieces.push(bytes.latin1Slice(start, end));
  }
}

function feed(reader: BodyReader, text: string, sink = new Sink()): { stop: number; pieces: string[] } {
  const bytes = Buffer.from(text, 'latin1');
  return { stop: reader.read(bytes, 0, bytes.length, sink), pieces: sink.pieces };
}

function started(framing: Framing, length = 0, trailerBytesMax = 1000): BodyReader {
  const reader = new BodyReader(trailerBytesMax);
  reader.start(framing, length);
  return reader;
}

test('without a body, the reader is done at once and takes nothing', () => {
  const reader = started(Framing.NONE);
  assert.equal(reader.done, true);
  assert.deepEqual(feed(reader, 'GET'), { stop: 0, pieces: [] });
});

test('a body with a length stops there', () => {
  const reader = started(Framing.LENGTH, 5);
  assert.deepEqual(feed(reader, 'hel'), { stop: 3, pieces: ['hel'] });
  assert.equal(reader.done, false);
  assert.equal(reader.connectionEnded(), false);
  assert.deepEqual(feed(reader, 'loGET'), { stop: 2, pieces: ['lo'] });
  assert.equal(reader.done, true);
});

test('a body without a length lasts until the end of the connection', () => {
  const reader = started(Framing.CLOSE);
  assert.deepEqual(feed(reader, 'anything\r\n0\r\n\r\n').pieces, ['anything\r\n0\r\n\r\n']);
  assert.equal(reader.done, false);
  assert.equal(reader.connectionEnded(), true);
  assert.equal(reader.done, true);
});

test('chunks yield their data without their extensions', () => {
  const reader = started(Framing.CHUNKED);
  const text = '5;a=b\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n';
  assert.deepEqual(feed(reader, `${text}rest`), { stop: text.length, pieces: ['hello', '0123456789'] });
  assert.equal(reader.done, true);
  assert.equal(reader.trailers, null);
});

test('a chunked body that ends with the connection is incomplete', () => {
  const reader = started(Framing.CHUNKED);
  feed(reader, '5\r\nhello\r\n0\r\n');
  assert.equal(reader.connectionEnded(), false);
});

test('forwardable trailers are kept', () => {
  const reader = started(Framing.CHUNKED);
  const text = '0\r\nX-A: b\r\nContent-Length: 5\r\nSet-Cookie: a\r\nX-C:d \r\n\r\n';
  assert.equal(feed(reader, `${text}GET`).stop, text.length);
  assert.equal(reader.trailers?.forwardable, 'X-A: b\r\nX-C:d \r\n');
});

test('trailers can arrive byte by byte, and stop at their end', () => {
  const reader = started(Framing.CHUNKED);
  const text = '0\r\nX-A: b\r\nHost: c\r\n\r\n';
  for (const byte of text) assert.equal(feed(reader, byte).stop, 1);
  assert.equal(reader.done, true);
  assert.equal(reader.trailers?.forwardable, 'X-A: b\r\n');
  assert.equal(feed(reader, 'GET').stop, 0);
});

test('a body leaves nothing behind for the next one', () => {
  const reader = started(Framing.CHUNKED);
  feed(reader, '5;aaa\r\nhello\r\n0\r\nX: y\r\n\r\n');
  reader.start(Framing.CHUNKED, 0);
  assert.equal(reader.trailers, null);
  assert.deepEqual(feed(reader, '0\r\n\r\n').stop, 5);
  assert.equal(reader.done, true);
  assert.equal(reader.trailers, null);
  reader.start(Framing.CHUNKED, 0);
  feed(reader, 'x');
  assert.equal(reader.refusal, 'chunk size');
  reader.start(Framing.LENGTH, 1);
  assert.equal(reader.refusal, '');
  assert.deepEqual(feed(reader, 'ab').pieces, ['a']);
});

describe('chunks are refused', () => {
  const cases: Record<string, string> = {
    '': 'chunk size',
    '5 \r': 'chunk size',
    x: 'chunk size',
    '20000000000000': 'chunk size',
    '5 x': 'chunk size',
    [`${'0'.repeat(17_000)}1`]: 'chunk size',
    [`5${' '.repeat(17_000)};`]: 'chunk size',
    '5\n': 'chunk size',
    '5;\n': 'chunk extension',
    '5;\0': 'chunk extension',
    '5\rh': 'chunk size line',
    '1\r\nab': 'chunk end',
    '1\r\na\n': 'chunk end',
    '1\r\na\rb': 'chunk end',
    '0\r\n\n': 'trailer: byte in field name',
    '0\r\nX: y\n': 'trailer: bare line feed',
    '0\r\n\rx': 'trailer: bare carriage return',
  };
  for (const [text, why] of Object.entries(cases)) {
    test(JSON.stringify(text), () => {
      const reader = started(Framing.CHUNKED);
      feed(reader, text || '\r\n');
      assert.equal(reader.refusal, why);
      assert.equal(reader.done, false);
    });
  }

  test('with endless extensions, even over many chunks', () => {
    const reader = started(Framing.CHUNKED);
    const extension = 'a'.repeat(100);
    for (let count = 0; count < 1000 && reader.refusal === ''; count++) feed(reader, `1;${extension}\r\nx\r\n`);
    assert.equal(reader.refusal, 'chunk extensions too long');
  });

  test('but not in a long body with a short extension in every chunk', () => {
    const reader = started(Framing.CHUNKED);
    for (let count = 0; count < 10_000; count++) feed(reader, '1;a=b;c=d\r\nx\r\n');
    assert.equal(reader.refusal, '');
  });

  test('with too many trailer fields or bytes', () => {
    const many = started(Framing.CHUNKED);
    feed(many, `0\r\n${'X: y\r\n'.repeat(33)}\r\n`);
    assert.equal(many.refusal, 'trailer: too many fields');
    const long = started(Framing.CHUNKED);
    feed(long, `0\r\nX: ${'y'.repeat(1000)}`);
    assert.equal(long.refusal, 'trailer: head too large');
  });
});
