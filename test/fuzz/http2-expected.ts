import { Flag, FrameType } from '../../src/http2/frame.ts';
import { readWithNode } from '../helpers/node-http2.ts';
import type { FieldPair } from '../helpers/python-h2.ts';
import type { ReferenceMessage } from '../helpers/reference-parser.ts';
import { seeded } from '../helpers/seeded-random.ts';
import { respondsAtEnd, run } from './http2-conversation.ts';
import { frameStarts, goodFields, Traffic } from './http2-traffic.ts';

/** A request as a backend is to get it. */
interface Expected {
  readonly meaning: string;
  readonly isWhole: boolean;
  /** Both. */
  readonly key: string;
  /** What a backend may get without the end of the stream: a body of the content length. */
  readonly bySize: string | null;
}

export interface Expectation {
  /** Whether Node has judged the whole of it. */
  readonly isJudged: boolean;
  /** By stream. */
  readonly requests: ReadonlyMap<number, Expected>;
  /** Streams that need no request at a backend: their request is reset or refused, or names another host. */
  readonly optional: ReadonlySet<number>;
}

/** Frames of a client: whole ones, so that one that follows is read as such. */
export function makeInput(inputSeed: number): Buffer {
  const random = seeded(inputSeed);
  const options = { toServer: true, place: `/${inputSeed}-`, isCalm: random() < 0.8 };
  const bytes = new Traffic(random, options).bytes();
  const rest = bytes.subarray(frameStarts(bytes).at(-1));
  if (rest.length === 0) return bytes;
  const length = rest.length < 3 ? 0 : rest.readUIntBE(0, 3);
  // A frame that is too long is an error without the rest.
  return Buffer.concat([bytes, Buffer.alloc(Math.max(0, 9 + Math.min(length, 16_384) - rest.length))]);
}

/**
 * Without what ends connections of Node and no others: GOAWAY (RFC 9113 section 6.8 lets streams go on), and
 * acknowledgements that it has not asked for (sections 6.5 and 6.7).
 */
function forNode(bytes: Buffer): Buffer {
  const starts = frameStarts(bytes);
  let inBlock = false;
  const kept = starts.slice(0, -1).map((start, i) => {
    const frame = bytes.subarray(start, starts[i + 1]);
    const [type, flags] = [frame[3] as number, frame[4] as number];
    const isWell = !inBlock && i > 0 && (frame.readUInt32BE(5) & 0x7fff_ffff) === 0;
    if (type === FrameType.HEADERS || type === FrameType.CONTINUATION) inBlock = (flags & Flag.END_HEADERS) === 0;
    const isAck = (flags & Flag.ACK) !== 0;
    const isDropped =
      (type === FrameType.GOAWAY && frame.length >= 17) ||
      (type === FrameType.PING && isAck && frame.length === 17) ||
      (type === FrameType.SETTINGS && isAck && frame.length === 9);
    return isWell && isDropped ? Buffer.alloc(0) : frame;
  });
  return Buffer.concat(kept);
}

export async function expectationOf(bytes: Buffer): Promise<Expectation> {
  const input = { isServer: true, bytes, streamWindowBytes: 65_536, streamsMax: 100 };
  // RFC 9113 section 6.9.2: whether a window overflows depends on the responses, which may have come or not.
  const runs = [run({ ...input, behaviours: [0] }), run({ ...input, behaviours: [respondsAtEnd] })] as const;
  const own = new Map<number, ReadRequest>();
  /** Streams that Node resets or drops, though their request may have been whole. */
  const dropped = resetStreams(bytes);
  const optional = new Set(dropped);
  for (const { ours, stream } of runs.flatMap(({ told }) => told)) {
    if (ours.refusals.length > 0) optional.add(stream);
    for (const action of ours.actions) if (action[0] === 'reset') optional.add(action[1]);
  }
  for (const { ours } of runs[1].told) {
    for (const event of ours.events) {
      const request = own.get(event[1] as number);
      if (event[0] === 'headers' && request !== undefined) {
        // RFC 9110 section 6.5.1: these mean nothing in trailers, which Node takes for those of the head.
        if (event[2].some(([name]) => name === 'content-length' || name === 'host')) dropped.add(event[1]);
      } else if (event[0] === 'headers') own.set(event[1], { fields: event[2], body: '', isWhole: false });
      else if (event[0] === 'data' && request !== undefined) request.body += event[2];
      else if (event[0] === 'end' && request !== undefined) request.isWhole = true;
    }
  }
  const node = await readWithNode(forNode(bytes));
  const read = new Map<number, ReadRequest>(node.requests);
  for (const [id, { fields }] of node.requests) {
    const request = own.get(id);
    if (dropped.has(id) && request !== undefined) read.set(id, { ...request, fields });
  }
  const [byNode, bySession] = [expectedOf(read), expectedOf(own)];
  // RFC 9113 section 5.4.1: Node ends a connection because of what is an error of a stream to us.
  const isJudged = node.error === null || [...bySession].every(([id, { key }]) => byNode.get(id)?.key === key);
  for (const [id, { isReset }] of node.requests) if (isReset) optional.add(id);
  for (const [id, { fields }] of isJudged ? read : own) if (!namesHost(fields)) optional.add(id);
  return { isJudged, optional, requests: isJudged ? byNode : bySession };
}

/** Those that the client resets, wherever the reading ends. Node may not have told of their end yet. */
function resetStreams(bytes: Buffer): Set<number> {
  const frames = frameStarts(bytes).filter((start) => bytes[start + 3] === FrameType.RST_STREAM);
  return new Set(frames.filter((at) => at + 9 <= bytes.length).map((at) => bytes.readUInt32BE(at + 5) & 0x7fff_ffff));
}

interface ReadRequest {
  readonly fields: readonly FieldPair[];
  body: string;
  isWhole: boolean;
}

function expectedOf(requests: ReadonlyMap<number, ReadRequest>): Map<number, Expected> {
  const expected = new Map<number, Expected>();
  for (const [id, { body, fields, isWhole }] of requests) {
    const meaning = meaningOf(fields, body);
    const length = /^0*\d$/.exec(fieldOf(fields, 'content-length') ?? '');
    const size = Number(length?.[0]);
    const bySize = length === null ? null : meaningOf(fields, body.slice(0, size).padEnd(size, 'x'));
    expected.set(id, { meaning, isWhole, bySize, key: `${meaning}\n${isWhole}` });
  }
  return expected;
}

function fieldOf(fields: readonly FieldPair[], name: string): string | undefined {
  return fields.find(([found]) => found.toLowerCase() === name)?.[1];
}

function namesHost(fields: readonly FieldPair[]): boolean {
  return /^a\.test(:443)?$/i.test(fieldOf(fields, ':authority') ?? fieldOf(fields, 'host') ?? '');
}

function meaningOf(fields: readonly FieldPair[], body: string): string {
  return `${fieldOf(fields, ':method')} ${fieldOf(fields, ':path')}\n${shownFields(fields)}\n${body}`;
}

/** Those that a proxy does not change. */
function shownFields(fields: readonly FieldPair[]): string {
  const names = new Set(goodFields.map(([name]) => name).filter((name) => name !== 'te' && name !== 'cookie'));
  const lines = fields.map(([name, value]) => [name.toLowerCase(), value] as const).filter(([name]) => names.has(name));
  const cookies = fields.filter(([name]) => name.toLowerCase() === 'cookie').map(([, value]) => value);
  return [...lines.map((line) => line.join(': ')), cookies.join('; ')].join('\n');
}

/** The second word. */
export function targetOf(text: string): string | undefined {
  return text.split(/[ \r\n]/, 2)[1];
}

/** The same as of what was expected. */
export function messageMeaning({ body, fields, startLine }: ReferenceMessage): string {
  return `${startLine.replace(/ HTTP\/1\.1$/, '')}\n${shownFields(fields)}\n${body}`;
}
