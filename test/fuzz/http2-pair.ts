import { FieldLines } from '../../src/http/field-lines.ts';
import { frameHeadBytes } from '../../src/http2/frame.ts';
import type { Indexing } from '../../src/http2/hpack-encoder.ts';
import type { Http2Stream } from '../../src/http2/stream.ts';
import type { Answer, Conversation, FieldPair, Http2Action, Http2Event } from '../helpers/python-h2.ts';
import { RecordedSession } from '../helpers/recorded-session.ts';

const requestFields: readonly FieldPair[] = [
  ...([
    [':scheme', 'https'],
    [':path', '/'],
    [':authority', 'a.test'],
  ] as const),
  ...([
    ['accept', '*/*'],
    ['x-a', 'some text'],
    ['cookie', 'a=1'],
    ['x-empty', ''],
  ] as const),
];
const responseFields: readonly FieldPair[] = [
  ['server', 'x'],
  ['x-b', 'a value'],
  ['set-cookie', 'b=2'],
];

/** One end of a connection: its session, what it has sent, and the same for a connection of python3-h2. */
class End {
  readonly recorded: RecordedSession;
  readonly streams: Http2Stream[] = [];
  readonly sent = new Map<number, string>();
  readonly events: Http2Event[] = [];
  readonly conversation: Conversation & { steps: (string | Http2Action)[] };
  /** Bytes on their way to this end. */
  arriving = '';
  /** Those of the present frame that have arrived. */
  private arrived = '';
  /** Streams with a head of this end, and those without one. */
  readonly begun = new Set<number>();
  private peer!: End;

  constructor(isServer: boolean, streamWindowBytes: number) {
    this.conversation = { isServer, streamWindowBytes, streamsMax: 100, steps: [] };
    this.recorded = new RecordedSession({ ...this.conversation, connectionWindowBytes: 70_000 }, (stream, moment) => {
      if (isServer && moment === 'head' && !this.streams.includes(stream)) this.streams.push(stream);
    });
  }

  connect(peer: End): void {
    this.peer = peer;
    this.pass();
  }

  /** What the session has written goes to the other end. */
  pass(): void {
    const { session } = this.recorded;
    session.settle();
    const { actions, events, written } = this.recorded.take();
    this.conversation.steps.push(...actions);
    this.events.push(...events);
    this.peer.arriving += written;
  }

  /** Up to so many of the bytes on their way arrive: at most one frame at a time, so that python3-h2 follows. */
  arrive(count: number): void {
    for (let left = Math.min(count, this.arriving.length); left > 0; ) {
      const taken = Math.min(left, this.bytesToFrameEnd());
      const text = this.arriving.slice(0, taken);
      this.arriving = this.arriving.slice(taken);
      this.arrived += text;
      left -= taken;
      this.conversation.steps.push(Buffer.from(text, 'latin1').toString('hex'));
      this.recorded.read(Buffer.from(text, 'latin1'));
      this.pass();
    }
  }

  private bytesToFrameEnd(): number {
    const head = Buffer.from((this.arrived + this.arriving).slice(0, frameHeadBytes), 'latin1');
    const whole = head.length < frameHeadBytes ? frameHeadBytes : frameHeadBytes + head.readUIntBE(0, 3);
    if (this.arrived.length < whole) return whole - this.arrived.length;
    this.arrived = '';
    return this.bytesToFrameEnd();
  }

  block(fields: readonly FieldPair[], indexing: Indexing): string {
    const { encoder } = this.recorded.session;
    encoder.begin();
    for (const [name, value] of fields) encoder.add(name, value, indexing);
    return encoder.end();
  }

  send(stream: Http2Stream, text: string): void {
    if (stream.isClosed || stream.hasSentEnd) return;
    this.sent.set(stream.id, (this.sent.get(stream.id) ?? '') + text);
    if (text.length % 2 === 0) stream.sendText(text);
    else stream.sendData(Buffer.from(text, 'latin1'), 0, text.length);
    stream.flush();
  }
}

/** A client and a server of ours that exchange random messages, of which the bytes arrive in random pieces. */
export class Pair {
  readonly client: End;
  readonly server: End;
  private readonly random: () => number;
  private readonly ending = new Set<string>();

  constructor(random: () => number) {
    this.random = random;
    const windows = [50, 1000, 65_536];
    this.client = new End(false, this.pick(windows));
    this.server = new End(true, this.pick(windows));
    this.client.connect(this.server);
    this.server.connect(this.client);
    // Settings first: a window may be less than its default.
    this.deliverAll();
  }

  run(): void {
    for (let steps = 5 + this.below(40); steps > 0; steps--) this.step();
    for (let turns = 0; turns < 10_000; turns++) {
      for (const end of [this.client, this.server]) {
        end.recorded.session.resume();
        for (const stream of end.streams) {
          stream.resume();
          if (!end.begun.has(stream.id)) this.respond(stream);
          this.end(end, stream, null);
        }
        end.pass();
      }
      if (this.client.arriving === '' && this.server.arriving === '') return;
      this.deliverAll();
    }
    throw new Error('the exchange does not end');
  }

  private step(): void {
    const kind = this.below(20);
    const end = this.below(2) === 0 ? this.client : this.server;
    if (kind < 7) end.arrive(this.below(3) === 0 ? end.arriving.length : 1 + this.below(200));
    else if (kind < 10) this.request();
    else {
      const stream = this.pick(end.streams);
      if (stream !== undefined) this.act(end, stream, kind);
    }
    end.pass();
  }

  private act(end: End, stream: Http2Stream, kind: number): void {
    const { session } = end.recorded;
    if (end === this.server && !end.begun.has(stream.id) && kind < 16) this.respond(stream);
    else if (kind < 14 && !this.ending.has(`${stream.id} ${end === this.server}`)) {
      if (end.begun.has(stream.id)) end.send(stream, this.text());
    } else if (kind < 16) {
      if (end.begun.has(stream.id)) this.end(end, stream, this.below(2) === 0 ? new FieldLines('x-sum: 1\r\n') : null);
    } else if (kind === 16) stream.reset(this.below(2) === 0 ? 8 : 0);
    else if (kind === 17) {
      if (this.below(2) === 0) stream.pause();
      else stream.resume();
    } else if (kind === 18) {
      if (session.isFlowing && this.below(2) === 0) session.isFlowing = false;
      else session.resume();
    } else if (this.below(2) === 0) session.ping();
    else session.setPriority(stream, this.pick(['u=1', 'u=7, i', 'i', 'u=3']));
  }

  private request(): void {
    const { client } = this;
    if (client.streams.length >= 20) return;
    const endsStream = this.below(2) === 0;
    const method: FieldPair = [':method', endsStream ? 'GET' : 'POST'];
    const fields = [method, ...requestFields.slice(0, 3 + this.below(5))];
    const block = client.block(fields, this.below(3) as Indexing);
    const stream = client.recorded.request(block, endsStream);
    if (stream === null) return;
    client.streams.push(stream);
    client.begun.add(stream.id);
  }

  private respond(stream: Http2Stream): void {
    const { server } = this;
    if (stream.isClosed) return;
    const isInformational = this.below(4) === 0;
    if (isInformational) {
      stream.sendFields(server.block([[':status', '103'], ...responseFields.slice(0, this.below(4))], 1));
    }
    server.begun.add(stream.id);
    const block = server.block(
      [[':status', '200'], ...responseFields.slice(0, this.below(4))],
      this.below(3) as Indexing,
    );
    if (this.below(4) === 0) stream.sendOnlyFields(block);
    else stream.sendFields(block);
  }

  private end(end: End, stream: Http2Stream, trailers: FieldLines | null): void {
    const key = `${stream.id} ${end === this.server}`;
    if (this.ending.has(key) || stream.hasSentEnd) return;
    this.ending.add(key);
    stream.sendEnd(trailers);
    stream.flush();
  }

  private deliverAll(): void {
    for (const end of [this.client, this.server]) end.arrive(end.arriving.length);
  }

  private text(): string {
    const length = this.below(20) === 0 ? this.below(60_000) : this.below(400);
    return String.fromCharCode(97 + this.below(26)).repeat(length);
  }

  private below(bound: number): number {
    return Math.floor(this.random() * bound);
  }

  private pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }
}

/** @returns what is wrong with what an end and its connection of python3-h2 have received; null if nothing is. */
export function receivedProblem(end: End, peer: End, answer: Answer): string | null {
  const error = answer.heard.find((one) => one.error !== null)?.error;
  // RFC 9113 section 5.1: it was under way when this end reset the stream.
  if (error?.includes('RECV_INFORMATIONAL_HEADERS in state 6')) return null;
  if (error !== undefined) return `${error} by ${JSON.stringify(end.conversation.steps[answer.heard.length - 1])}`;
  const { recorded } = end;
  if (recorded.session.ended !== null) return `ended: ${recorded.session.endedDetail}`;
  const theirs = answer.heard.flatMap(({ events }) => events);
  const [a, b] = [shown(end.events), shown(theirs)];
  if (a !== b) return `events\n${a}\n${b}`;
  const bodies = new Map<number, string>();
  for (const [kind, id, text] of theirs) if (kind === 'data') bodies.set(id, (bodies.get(id) ?? '') + text);
  const failed = new Set([...end.conversation.steps, ...peer.conversation.steps].flatMap(resetStream));
  for (const [id, sent] of peer.sent) {
    const [got = '', read = ''] = [recorded.bodies.get(id), bodies.get(id)];
    const isWhole = got === sent && read === sent;
    const isCut = failed.has(id) && sent.startsWith(got) && sent.startsWith(read);
    if (!isWhole && !isCut) return `of ${sent.length} bytes on ${id}, we got ${got.length}, and they ${read.length}`;
  }
  if (recorded.session.streams.size > 0) return `streams stay: ${[...recorded.session.streams.keys()]}`;
  return null;
}

function resetStream(step: string | Http2Action): number[] {
  return typeof step !== 'string' && step[0] === 'reset' ? [step[1]] : [];
}

/** The order of data and the rest is that of frames, of which a session may read parts. */
function shown(events: readonly Http2Event[]): string {
  return JSON.stringify(events.filter(([kind]) => kind !== 'data' && kind !== 'ping'));
}
