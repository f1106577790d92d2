import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { pingFrame, preface } from '../../src/http2/frame.ts';
import { FrameLines, get, headers } from '../helpers/http2-frames.ts';
import type { RawClient } from '../helpers/raw-client.ts';
import { readRequest } from '../helpers/reference-parser.ts';
import { Rig } from '../helpers/rig.ts';
import { seeded } from '../helpers/seeded-random.ts';
import { until } from '../helpers/until.ts';
import { type Expectation, expectationOf, makeInput, messageMeaning, targetOf } from './http2-expected.ts';
import { PlannedBackend, PlannedClients } from './http2-node-client.ts';

/** More for a long run: `HIPACHE_FUZZ_INPUTS=100000`. The seed of a failure repeats it with one input. */
const inputsWanted = Number(process.env['HIPACHE_FUZZ_INPUTS'] ?? 400);
const seed = Number(process.env['HIPACHE_FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
/** Of clients of Node, with several exchanges each. */
const connectionsWanted = Math.ceil(inputsWanted / 6);
const clientsAtOnce = 20;
const batch = 200;
const afterwards = '/afterwards';
/** Of a stream that is higher than all others. */
const lastStream = 0x7fff_ffff;

/** What a client does, and what it sees. */
class Client {
  readonly frames = new FrameLines();
  private readonly raw: RawClient;

  constructor(raw: RawClient) {
    this.raw = raw;
    raw.socket.on('data', (bytes: Buffer) => this.frames.read(bytes));
  }

  get isOver(): boolean {
    return this.raw.ended || this.raw.closed;
  }

  has(begin: string): boolean {
    return this.frames.lines.some((line) => line.startsWith(begin));
  }

  /** Whether a stream has a response, or was reset. */
  isAnswered(stream: number): boolean {
    return this.has(`HEADERS ${stream} `) || this.has(`RST_STREAM ${stream} `);
  }

  /** Sends in pieces, as far as the kernel keeps them apart. */
  async send(bytes: Buffer, random: () => number): Promise<void> {
    for (let at = 0; at < bytes.length && !this.isOver; ) {
      const end = at + 1 + Math.floor(random() * (random() < 0.5 ? 30 : bytes.length));
      this.raw.socket.write(bytes.subarray(at, end));
      at = end;
      await nextTurn();
    }
  }
}

/** Sends an input, and awaits what is due. @returns whether the connection has gone on to its end. */
async function converse(rig: Rig, input: Buffer, expected: Expectation, random: () => number): Promise<boolean> {
  const raw = await rig.client();
  const client = new Client(raw);
  await client.send(Buffer.concat([Buffer.from(preface), input, Buffer.from(pingFrame(false, 'the end!'))]), random);
  await until('the end of the input', () => client.has('PING ack the end!') || client.has('GOAWAY') || client.isOver);
  const goesOn = client.has('PING ack the end!');
  if (goesOn) {
    for (const [stream, { isWhole }] of expected.requests) {
      if (!isWhole || expected.optional.has(stream)) continue;
      await until(`a response of ${stream}`, () => client.isAnswered(stream) || client.isOver, 10_000);
    }
    const request = [...get.slice(0, 2), `:path: ${afterwards}`, ':authority: a.test'];
    await client.send(Buffer.from(headers(lastStream, request), 'latin1'), random);
    await until('a response afterwards', () => client.has(`HEADERS ${lastStream} :status: 200`), 10_000);
  } else {
    assert.ok(client.has('GOAWAY'), 'the connection ends without a reason');
    await until('the end of the connection', () => client.isOver, 10_000);
  }
  raw.close();
  return goesOn;
}

interface Sent {
  readonly expected: Expectation;
  readonly goesOn: boolean;
}

/** Every request of a backend is one that was expected, and all that were due have come. */
function checkReceived(rig: Rig, sent: readonly Sent[]): number {
  const due = new Map<string, number>();
  const received = new Map<string, number>();
  const count = (counts: Map<string, number>, key: string): void => void counts.set(key, (counts.get(key) ?? 0) + 1);
  const allowed = new Map<string, number>();
  for (const { expected, goesOn } of sent) {
    for (const [stream, { bySize, isWhole, meaning }] of expected.requests) {
      if (!isWhole && bySize !== null) count(allowed, bySize);
      if (!isWhole) continue;
      count(allowed, meaning);
      if (goesOn && !expected.optional.has(stream)) count(due, meaning);
    }
  }
  const targets = new Set(
    sent.flatMap(({ expected }) => [...expected.requests.values()].map(({ meaning }) => targetOf(meaning))),
  );
  let total = 0;
  const peers = rig.backend.peers.splice(0);
  for (const { socket } of peers) socket.destroy();
  for (const peer of peers) {
    for (const request of peer.requests) {
      if (request.startLine === `GET ${afterwards} HTTP/1.1`) continue;
      total++;
      count(received, messageMeaning(request));
    }
    const rest = peer.received.slice(peer.servedLength);
    assert.notEqual(readRequest(rest).kind, 'bad', `a backend received ${JSON.stringify(rest.slice(0, 500))}`);
    const isKnown = !rest.includes('\r\n') || targets.has(targetOf(rest));
    assert.ok(isKnown, `a backend received ${JSON.stringify(rest.slice(0, 500))}`);
  }
  for (const [meaning, times] of received) {
    assert.ok(times <= (allowed.get(meaning) ?? 0), `a backend received ${times} × ${JSON.stringify(meaning)}`);
  }
  for (const [meaning, times] of due) {
    assert.ok((received.get(meaning) ?? 0) >= times, `no backend received ${times} × ${JSON.stringify(meaning)}`);
  }
  return total;
}

test('backends get the requests that Node reads in the frames of a client', { timeout: 3_600_000 }, async (t) => {
  t.diagnostic(`seed ${seed}`);
  const rig = await Rig.start(t, { protocols: ['h2', 'http/1.1'], settings: { bodyRateMin: 0 } });
  rig.backend.serve(() => 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
  let judged = 0;
  let forwarded = 0;
  for (let from = 0; from < inputsWanted; from += batch) {
    const seeds = Array.from({ length: Math.min(batch, inputsWanted - from) }, (_, i) => (seed + from + i) % 2 ** 31);
    const sent: Sent[] = [];
    const left = [...seeds];
    const work = async (): Promise<void> => {
      for (let inputSeed = left.pop(); inputSeed !== undefined; inputSeed = left.pop()) {
        const input = makeInput(inputSeed);
        const expected = await expectationOf(input);
        const goesOn = await converse(rig, input, expected, seeded(-inputSeed)).catch((error: Error) => {
          throw new Error(`seed ${inputSeed}: ${error.message}`);
        });
        sent.push({ expected, goesOn });
        if (expected.isJudged) judged++;
      }
    };
    await Promise.all(Array.from({ length: clientsAtOnce }, work));
    await rig.proxy.untilQuiet();
    try {
      forwarded += checkReceived(rig, sent);
    } catch (error) {
      throw new Error(`seeds from ${seeds[0]}: ${(error as Error).message}`);
    }
    assert.deepEqual(rig.proxy.problems, [], `seeds from ${seeds[0]}`);
    const { counters } = rig.proxy.dataPlane;
    await until('the end of the connections to the backend', () => counters.backendConnectionsOpen === 0);
  }
  t.diagnostic(`${forwarded} requests at the backend; Node read ${judged} of ${inputsWanted} inputs to their end`);
  assert.ok(inputsWanted < 100 || judged > inputsWanted / 2);
});

test('bodies are the same at both ends of exchanges with the client of Node', { timeout: 3_600_000 }, async (t) => {
  t.diagnostic(`seed ${seed}`);
  const backend = await PlannedBackend.start();
  t.after(() => backend.stop());
  const rig = await Rig.start(t, { protocols: ['h2', 'http/1.1'], settings: { bodyRateMin: 0 } });
  rig.proxy.route('a.test', [backend.url]);
  const clients = new PlannedClients(backend, rig.proxy.port);
  let left = connectionsWanted;
  const work = async (): Promise<void> => {
    while (left > 0) {
      const connectionSeed = (seed + --left) % 2 ** 31;
      await clients.converse(seeded(connectionSeed)).catch((error: Error) => {
        throw new Error(`seed ${connectionSeed}: ${error.message}`);
      });
      assert.deepEqual(backend.problems, [], `seed ${connectionSeed} or one near`);
    }
  };
  await Promise.all(Array.from({ length: 8 }, work));
  await rig.proxy.untilQuiet();
  assert.deepEqual([backend.problems, rig.proxy.problems], [[], []]);
  t.diagnostic(`${clients.checked} exchanges as planned, ${clients.reset} reset, on ${connectionsWanted} connections`);
  assert.ok(clients.checked > clients.reset);
});
