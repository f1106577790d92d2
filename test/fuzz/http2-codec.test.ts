import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import type { Http2Error } from '../../src/http2/frame.ts';
import type { HeaderField } from '../../src/http2/header-field.ts';
import { HpackDecoder } from '../../src/http2/hpack-decoder.ts';
import { HpackEncoder, type Indexing } from '../../src/http2/hpack-encoder.ts';
import { Session } from '../../src/http2/session.ts';
import type { Http2Stream } from '../../src/http2/stream.ts';
import { data, FrameLines, frame, get, headers, noSettings, post } from '../helpers/http2-frames.ts';
import { seeded } from '../helpers/seeded-random.ts';

/** More for a long run: `HIPACHE_FUZZ_INPUTS=2000000`. A seed repeats them. */
const inputsWanted = Number(process.env['HIPACHE_FUZZ_INPUTS'] ?? 10_000);
const seed = Number(process.env['HIPACHE_FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const timeout = 3_600_000;
/** Inputs for one process of Python. */
const batch = 5000;

const names = ['content-type', 'date', 'server', 'x-a', 'set-cookie', ':status', ':path', 'x-long-name-of-a-field'];

type Lines = [name: string, value: string][];

/** Fields, of which some repeat. */
function section(random: () => number): Lines {
  const below = (bound: number): number => Math.floor(random() * bound);
  return Array.from({ length: below(12) }, () => {
    const value = below(3) === 0 ? String(below(20)) : String.fromCharCode(...bytes(random, below(60)));
    return [names[below(names.length)] as string, value];
  });
}

function bytes(random: () => number, length: number): number[] {
  return Array.from({ length }, () => Math.floor(random() * 256));
}

/** @returns null if the block is refused. */
function decode(decoder: HpackDecoder, block: Buffer): Lines | null {
  const lines: Lines = [];
  const sink = { onField: ({ name, value }: HeaderField) => void lines.push([name, value]) };
  return decoder.decode(block, 0, block.length, sink) ? lines : null;
}

/** Has python3-hpack, of Debian's own Python, work through JSON, a line each. */
function python(program: string, lines: readonly unknown[]): unknown[] {
  const script = `import sys, json\nfrom hpack import Decoder, Encoder\n${program}`;
  const input = lines.map((line) => JSON.stringify(line)).join('\n');
  const { status, stderr, stdout } = spawnSync('/usr/bin/python3', ['-c', script], {
    input,
    encoding: 'utf8',
    maxBuffer: 2 ** 29,
  });
  assert.equal(status, 0, stderr);
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

describe(`HPACK against python3-hpack, seed ${seed}`, () => {
  test('each decodes what the other has encoded', { timeout }, () => {
    const random = seeded(seed);
    for (let done = 0; done < inputsWanted / 2; done += batch) {
      const encoder = new HpackEncoder();
      const sections = Array.from({ length: Math.min(batch, inputsWanted / 2) }, () => {
        if (random() < 0.01) encoder.setTableBytesMax(Math.floor(random() * 5000));
        const lines = section(random);
        encoder.begin();
        for (const [name, value] of lines) encoder.add(name, value, Math.floor(random() * 3) as Indexing);
        return { block: Buffer.from(encoder.end(), 'latin1').toString('hex'), lines };
      });
      const answers = python(
        `d = Decoder(max_header_list_size=1 << 30)
e = Encoder()
for l in sys.stdin:
    o = json.loads(l)
    got = [[n.decode('latin1'), v.decode('latin1')] for n, v in d.decode(bytes.fromhex(o['block']), raw=True)]
    again = e.encode([(n.encode('latin1'), v.encode('latin1')) for n, v in o['lines']], huffman=len(got) % 2 == 0)
    print(json.dumps({'got': got, 'again': again.hex()}))`,
        sections,
      ) as { got: Lines; again: string }[];
      const decoder = new HpackDecoder();
      for (const [i, { lines }] of sections.entries()) {
        assert.deepEqual(answers[i]?.got, lines);
        assert.deepEqual(decode(decoder, Buffer.from(answers[i]?.again ?? '', 'hex')), lines);
      }
    }
  });

  test('both refuse the same blocks, and read the others alike', { timeout }, () => {
    const random = seeded(seed + 1);
    for (let done = 0; done < inputsWanted / 2; done += batch) {
      const blocks = Array.from({ length: Math.min(batch, inputsWanted / 2) }, () => {
        const encoder = new HpackEncoder();
        encoder.begin();
        for (const [name, value] of section(random)) encoder.add(name, value, Math.floor(random() * 3) as Indexing);
        const block = Buffer.from(encoder.end(), 'latin1');
        for (let changes = Math.floor(random() * 3); changes >= 0 && block.length > 0; changes--) {
          block[Math.floor(random() * block.length)] = Math.floor(random() * 256);
        }
        return block.subarray(0, random() < 0.2 ? Math.floor(random() * block.length) : block.length).toString('hex');
      });
      const answers = python(
        `for l in sys.stdin:
    try:
        got = [[n.decode('latin1'), v.decode('latin1')] for n, v in Decoder(max_header_list_size=1 << 30).decode(bytes.fromhex(json.loads(l)), raw=True)]
    except Exception as e:
        got = None
    print(json.dumps(got))`,
        blocks,
      );
      for (const [i, block] of blocks.entries()) {
        const got = decode(new HpackDecoder(), Buffer.from(block, 'hex'));
        assert.deepEqual(got, answers[i], block);
      }
    }
  });
});

/** A server whose streams respond at once. @returns the frames that it sends, and its error. */
function serve(input: Buffer, cut: (left: number) => number): { sent: readonly string[]; ended: Http2Error | null } {
  const output = new FrameLines();
  const read = (text: string): void => output.read(Buffer.from(text, 'latin1'));
  const session: Session = new Session(
    { append: read, appendFramed: (head, bytes, start, end) => read(head + bytes.toString('latin1', start, end)) },
    {
      onStream(stream: Http2Stream, _fields, _isTooLarge, endsStream) {
        const respond = (): void => {
          stream.sendFields('\x88');
          stream.sendText('hello');
          stream.sendEnd(null);
        };
        stream.handler = {
          ...{
            onFields: respond,
            onEnd: respond,
            onClosed() {},
            onData() {},
            onDrain() {},
            onFlush() {},
            onReset() {},
          },
        };
        if (endsStream) respond();
      },
      ...{ onGoAway() {}, onInternalError: assert.fail, onOutput() {}, onPingAck() {}, onSettings() {} },
    },
    {
      isServer: true,
      limits: { blockBytesMax: 1000, listBytesMax: 1000, fieldsMax: 20 },
      ...{ streamsMax: 10, streamWindowBytes: 65_536, connectionWindowBytes: 100_000, takesProtocols: true },
      nowMs: () => 0,
    },
  );
  session.start();
  for (let at = 0; at < input.length; ) {
    const end = at + cut(input.length - at);
    if (!session.read(input, at, end)) break;
    at = end;
  }
  if (session.ended !== null) assert.equal(session.streams.size, 0);
  return { sent: output.lines, ended: session.ended };
}

test(`a session takes any bytes, however they are cut, and sends frames only: seed ${seed}`, { timeout }, () => {
  const random = seeded(seed + 2);
  const below = (bound: number): number => Math.floor(random() * bound);
  for (let i = 0; i < inputsWanted; i++) {
    let id = 1;
    let text = noSettings;
    for (let frames = below(8); frames >= 0; frames--) {
      const kind = below(5);
      if (kind === 0) text += headers(id, get);
      else if (kind === 1) text += headers(id, post, false) + data(id, 'x'.repeat(below(2000)), below(2) === 0);
      else if (kind === 2)
        text += frame(below(12), below(64), below(6), String.fromCharCode(...bytes(random, below(12))));
      else if (kind === 3) text += headers(id, ['x: y']);
      else text += data(below(6), 'x'.repeat(below(100)), below(2) === 0);
      id += below(3);
    }
    const input = Buffer.from(text, 'latin1');
    for (let changes = below(3); changes > 0; changes--) input[below(input.length)] = below(256);
    const whole = serve(input, (left) => left);
    const pieces = serve(input, (left) => Math.min(left, 1 + below(20)));
    assert.equal(pieces.ended, whole.ended, input.toString('hex'));
    assert.deepEqual(withoutWindows(pieces.sent), withoutWindows(whole.sent), input.toString('hex'));
  }
});

/** Updates of windows come earlier where bytes do. */
function withoutWindows(lines: readonly string[]): string[] {
  return lines.filter((line) => !line.startsWith('WINDOW_UPDATE')).toSorted();
}
