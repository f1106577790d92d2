import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { data, frame, get, headers, noSettings, post } from '../../test/helpers/http2-frames.ts';
import { server } from '../../test/helpers/http2-side.ts';
import { FrameType, Http2Error, pingFrame, resetFrame, windowUpdateFrame } from './frame.ts';

const bytes = Buffer.alloc(10, 'x');

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

  /** On a stream that the server has reset. */
  const late: Readonly<Record<string, string>> = {
    'data of one byte for resets (bytes, not frames, are worth something)': '',
    'data of a stream that was reset': data(1, 'x'),
    'headers of a stream that was reset': headers(1, ['x: y']),
    'data that is padding alone': frame(FrameType.DATA, 8, 3, '\0'),
    goodbyes: frame(FrameType.GOAWAY, 0, 0, '\0\0\0\0\0\0\0\0'),
  };
  for (const [what, frames] of Object.entries(late)) {
    test(`${what}: the connection ends`, () => {
      const side = server({ streamWindowBytes: 1_000_000, connectionWindowBytes: 2_000_000 });
      side.receive(headers(1, post, false), headers(3, post, false));
      side.stream(1).reset(Http2Error.CANCEL);
      let sent = 0;
      for (; sent < many; sent++) {
        const id = 2 * sent + 5;
        const flood = frames === '' ? data(3, 'x').repeat(5) + headers(id, get) + resetFrame(id, 8) : frames;
        if (!side.receive(flood)) break;
      }
      assert.equal(side.session.ended, Http2Error.ENHANCE_YOUR_CALM);
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
