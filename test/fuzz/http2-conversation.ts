import { FrameType, Http2Error } from '../../src/http2/frame.ts';
import type { Http2Stream } from '../../src/http2/stream.ts';
import type { Answer, Conversation, Heard, Http2Action } from '../helpers/python-h2.ts';
import { type Recorded, RecordedSession } from '../helpers/recorded-session.ts';
import { compare, type Step, type Verdict } from './http2-differences.ts';
import { frameStarts, Traffic } from './http2-traffic.ts';

/** ALTSVC (RFC 7838), which python3-h2 knows and we pass over, as RFC 9113 section 5.5 wants of unknown types. */
const altSvc = 10;

/** A behaviour: the response follows the end of the request at once. */
export const respondsAtEnd = 7;

/** What a peer sends to a session, and how that behaves. */
export interface Input {
  readonly isServer: boolean;
  readonly bytes: Buffer;
  readonly streamWindowBytes: number;
  readonly streamsMax: number;
  /** Behaviours by stream. */
  readonly behaviours: readonly number[];
}

export function makeInput(random: () => number): Input {
  const isServer = random() < 0.6;
  const traffic = new Traffic(random, { toServer: isServer, opened: 4, isCalm: random() < 0.5 });
  return {
    isServer,
    bytes: traffic.bytes(),
    streamWindowBytes: traffic.pick([100, 1000, 65_536]),
    streamsMax: traffic.below(8) === 0 ? 2 : 100,
    behaviours: Array.from({ length: 8 }, () => traffic.below(8)),
  };
}

/** A session that has begun. */
function begin(input: Input): RecordedSession {
  const { behaviours, isServer, streamsMax, streamWindowBytes } = input;
  const react = (stream: Http2Stream, moment: 'head' | 'end'): void => {
    const behaviour = behaviours[(stream.id >> 1) % behaviours.length] as number;
    if (isServer) behave(stream, behaviour, moment);
    else if (behaviour === 4 && moment === 'head') stream.reset(Http2Error.CANCEL);
    else if (behaviour === 5) stream.pause();
  };
  const options = { isServer, streamsMax, streamWindowBytes, connectionWindowBytes: 66_000 };
  const recorded = new RecordedSession(options, react);
  if (isServer) return recorded;
  for (let count = 0; count < 4; count++) {
    // GET or POST, https, /, and an authority.
    const stream = recorded.request(`${count % 2 === 0 ? '\x82' : '\x83'}\x87\x84\x01\x01a`, count % 2 === 0);
    if (count === 3) stream?.sendText('x'.repeat(30_000));
    stream?.flush();
  }
  return recorded;
}

function behave(stream: Http2Stream, behaviour: number, moment: 'head' | 'end'): void {
  if (behaviour === 4 && moment === 'head') stream.reset(Http2Error.CANCEL);
  else if (behaviour === 5 && moment === 'head') stream.pause();
  else if (behaviour === 1 && moment === 'head') stream.sendOnlyFields('\x88');
  else if (behaviour === respondsAtEnd && moment === 'end') stream.sendOnlyFields('\x88');
  else if (behaviour === 2 && moment === 'end') respond(stream, 50_000);
  else if (behaviour === 3 && moment === 'head') respond(stream, 3);
  else if (behaviour === 6 && moment === 'head') {
    respond(stream, 30);
    stream.stopReceiving(true);
  }
}

function respond(stream: Http2Stream, bytes: number): void {
  stream.sendFields('\x88');
  stream.sendText('r'.repeat(bytes));
  stream.sendEnd(null);
}

type Told = Omit<Step, 'theirs'>;

/** What a session makes of an input, frame by frame, and the conversation for python3-h2. */
export interface Run {
  readonly conversation: Conversation;
  /** By frame, as far as python3-h2 gets it; and the steps of the conversation in which it does. */
  readonly told: readonly Told[];
  readonly positions: readonly number[];
  readonly recorded: RecordedSession;
  readonly windows: Readonly<Record<string, number>> | null;
  readonly total: Total;
}

/** All that a session has heard and written, and how it ended. */
export interface Total {
  /** Without data. */
  readonly events: readonly string[];
  readonly bodies: ReadonlyMap<number, string>;
  /** Streams of which a body may have come in part: the session has reset them. */
  readonly reset: ReadonlySet<number>;
  readonly written: string;
  readonly ended: number | null;
}

export function run(input: Input): Run {
  const { bytes, isServer, streamsMax, streamWindowBytes } = input;
  const recorded = begin(input);
  const { session } = recorded;
  const all: Recorded[] = [recorded.take()];
  const steps: (string | Http2Action)[] = [...(all[0]?.actions ?? [])];
  const told: Told[] = [];
  const positions: number[] = [];
  const resetBefore = new Set<number>();
  let inBlock = false;
  const starts = frameStarts(bytes);
  for (const [i, start] of starts.slice(0, -1).entries()) {
    if (session.ended !== null) break;
    const frame = bytes.subarray(start, starts[i + 1]);
    const stream = frame.readUInt32BE(5) & 0x7fff_ffff;
    const isUnwanted = session.streams.get(stream)?.stopsReceiving === true;
    const open = [...session.streams.keys()];
    recorded.read(frame);
    const ours = recorded.take();
    all.push(ours);
    const type = frame[3] as number;
    const flags = frame[4] as number;
    const ended = session.ended === null ? null : session.endedDetail;
    // GOAWAY: python3-h2 would take nothing after it, where RFC 9113 section 6.8 lets streams go on.
    const isPassed = ended !== null || inBlock || (type !== altSvc && type !== FrameType.GOAWAY);
    if (isPassed) {
      const payload = frame.subarray(9);
      const before = new Set(resetBefore);
      told.push({ type, flags, stream, payload, ours, ended, resetBefore: before, isUnwanted });
      positions.push(steps.length);
      steps.push(frame.toString('hex'));
    }
    if (type === 1 || type === 9) inBlock = (flags & 4) === 0;
    for (const action of ours.actions) if (action[0] === 'reset') resetBefore.add(action[1]);
    if (ended !== null) continue;
    steps.push(...ours.actions);
    // What the peer does not process any more.
    if (type === FrameType.GOAWAY) for (const id of open) if (!session.streams.has(id)) steps.push(['reset', id, 8]);
  }
  const windows: Record<string, number> | null = session.ended === null ? { 0: session.sendWindow } : null;
  if (windows !== null) for (const [id, stream] of session.streams) windows[id] = stream.sendWindow;
  recorded.read(bytes.subarray(starts.at(-1)));
  all.push(recorded.take());
  const total = totalOf(recorded, all);
  const conversation = { isServer, streamWindowBytes, streamsMax, steps };
  return { conversation, told, positions, recorded, windows, total };
}

/** What a session makes of the same input in other pieces. */
export function runPieces(input: Input, random: () => number): Total {
  const recorded = begin(input);
  const all: Recorded[] = [recorded.take()];
  const longest = random() < 0.3 ? input.bytes.length : 1 + Math.floor(random() * 40);
  for (let at = 0; at < input.bytes.length && recorded.session.ended === null; ) {
    const end = at + 1 + Math.floor(random() * longest);
    recorded.read(input.bytes.subarray(at, end));
    all.push(recorded.take());
    at = end;
  }
  return totalOf(recorded, all);
}

function totalOf({ bodies, session }: RecordedSession, all: readonly Recorded[]): Total {
  const events = all.flatMap((one) => one.events).filter(([kind]) => kind !== 'data');
  const resets = all.flatMap(({ actions }) => actions).filter(([kind]) => kind === 'reset');
  return {
    events: events.map((event) => JSON.stringify(event)),
    bodies,
    reset: new Set(resets.map(([, stream]) => stream)),
    written: withoutStreamWindows(all.map(({ written }) => written).join('')),
    ended: session.ended,
  };
}

/** A stream gets more window as soon as its bytes come, unless a frame ends it. */
function withoutStreamWindows(text: string): string {
  const bytes = Buffer.from(text, 'latin1');
  const starts = frameStarts(bytes);
  const frames = starts.map((start, i) => bytes.subarray(start, starts[i + 1]));
  const kept = frames.filter((frame) => frame[3] !== FrameType.WINDOW_UPDATE || frame.readUInt32BE(5) === 0);
  return Buffer.concat(kept).toString('hex');
}

/** @returns how the same input in other pieces differs; null if it does not. */
export function splitDifference(whole: Total, pieces: Total): string | null {
  if (whole.ended !== pieces.ended) return `ended with ${whole.ended} and ${pieces.ended}`;
  if (whole.written !== pieces.written) return `written\n${whole.written}\n${pieces.written}`;
  if (whole.events.join() !== pieces.events.join()) return `events\n${whole.events}\n${pieces.events}`;
  for (const id of new Set([...whole.bodies.keys(), ...pieces.bodies.keys()])) {
    const [a = '', b = ''] = [whole.bodies.get(id), pieces.bodies.get(id)];
    // What is read of a frame is passed on before its error is found.
    const isCut = whole.ended !== null || whole.reset.has(id);
    if (a !== b && !(isCut && (a.startsWith(b) || b.startsWith(a)))) return `bodies of ${id}: ${a} and ${b}`;
  }
  return null;
}

/** @returns where the two first differ, and what was compared otherwise. */
export function verdictOf({ conversation, positions, told, windows }: Run, answer: Answer): Verdict {
  for (const [i, step] of told.entries()) {
    const at = positions[i] as number;
    const theirs = answer.heard[at] as Heard;
    const verdict = compare({ ...step, theirs });
    if (verdict.kind !== 'same') return verdict;
    for (let next = at + 1; next < (positions[i + 1] ?? conversation.steps.length); next++) {
      const error = answer.heard[next]?.error ?? null;
      if (error !== null) return { kind: 'different', why: `${error} by ${conversation.steps[next]}` };
    }
  }
  if (windows === null || answer.windows === null) return { kind: 'same' };
  const [a, b] = [JSON.stringify(windows), JSON.stringify(answer.windows)];
  return a === b ? { kind: 'same' } : { kind: 'different', why: `windows ${a} and ${b}` };
}
