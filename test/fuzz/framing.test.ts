import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { BackendPeer } from '../helpers/raw-backend.ts';
import type { RawClient } from '../helpers/raw-client.ts';
import { type ReferenceMessage, readRequest, readResponse } from '../helpers/reference-parser.ts';
import { Rig } from '../helpers/rig.ts';
import { until } from '../helpers/until.ts';
import { cut, cuts, mutate, mutation, request, response } from './messages.ts';

/** More for a long run: `HIPACHE_FUZZ_MESSAGES=500000`. A seed repeats the messages, though not their timing. */
const messagesWanted = Number(process.env['HIPACHE_FUZZ_MESSAGES'] ?? 10_000);
const seed = Number(process.env['HIPACHE_FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const clientsAtOnce = 20;
const batch = 500;

/** Three of four messages are broken. */
const changes = fc.oneof({ weight: 3, arbitrary: mutation }, { weight: 1, arbitrary: fc.constant([]) });

/** A client's connection, and what the backends respond to its requests. */
const conversation = fc.record({
  requests: fc.array(request, { minLength: 1, maxLength: 3 }),
  changes,
  cuts,
  responses: fc.array(fc.tuple(response, changes, cuts, fc.boolean()), { minLength: 3, maxLength: 3 }),
});
type Conversation = typeof conversation extends fc.Arbitrary<infer T> ? T : never;

interface Sent {
  /** The messages that the reference reads, to the first that is incomplete or bad. */
  readonly messages: readonly ReferenceMessage[];
  readonly isBad: boolean;
}

function requestsOf(text: string): Sent {
  const messages: ReferenceMessage[] = [];
  for (let rest = text; rest !== ''; ) {
    const message = readRequest(rest);
    if (message.kind !== 'message') return { messages, isBad: message.kind === 'bad' };
    messages.push(message);
    rest = rest.slice(message.length);
  }
  return { messages, isBad: false };
}

/** Reads what a client received. @returns how many final responses are complete. @throws if it is not strictly HTTP. */
function responsesIn(text: string, methods: readonly string[], ended: boolean): number {
  let count = 0;
  for (let rest = text; rest !== ''; ) {
    const message = readResponse(rest, methods[count] === 'HEAD', ended);
    if (message.kind === 'more') return count;
    if (message.kind === 'bad' || /[^\r]\n/.test(rest.slice(0, message.headLength))) {
      throw new Error(`a client received ${JSON.stringify(rest.slice(0, 500))}`);
    }
    if (!/^HTTP\/1\.[01] 1/.test(message.startLine)) count++;
    rest = rest.slice(message.length);
  }
  return count;
}

/** Sends in pieces, as far as the kernel keeps them apart. */
async function sendPieces(socket: { write(text: string, encoding: 'latin1'): boolean }, pieces: readonly string[]) {
  for (const piece of pieces) {
    if (piece !== '') socket.write(piece, 'latin1');
    await new Promise(setImmediate);
  }
}

async function respond(peer: BackendPeer, [text, broken, positions, ends]: Conversation['responses'][number]) {
  const sent = mutate(text, broken);
  await sendPieces(peer.socket, cut(sent, positions));
  let final = readResponse(sent, false);
  for (let rest = sent; final.kind === 'message' && /^HTTP\/1\.[0-9] 1/.test(final.startLine); ) {
    rest = rest.slice(final.length);
    final = readResponse(rest, false);
  }
  // The proxy would wait for the rest.
  if (ends || final.kind !== 'message') peer.socket.end();
}

async function converse(rig: Rig, { requests, changes: broken, cuts: positions }: Conversation): Promise<string> {
  const text = mutate(requests.join(''), broken);
  const { messages, isBad } = requestsOf(text);
  const methods = messages.map(({ startLine }) => startLine.slice(0, startLine.indexOf(' ')));
  const client: RawClient = await rig.client();
  await sendPieces(client.socket, cut(text, positions));
  const isOver = (): boolean => client.ended || client.closed;
  const isServed = (): boolean => !isBad && responsesIn(client.received, methods, false) >= messages.length;
  let length = -1;
  await until(`the responses to ${JSON.stringify(text)}`, () => {
    if (isOver()) return true;
    if (client.received.length === length) return false;
    length = client.received.length;
    return isServed();
  });
  const count = responsesIn(client.received, methods, isOver());
  // One more tells the client that its next request is bad.
  assert.ok(count <= messages.length + 1, `${count} responses to ${JSON.stringify(text)}: ${client.received}`);
  client.close();
  return text;
}

test('broken messages never reach backends or clients in another form than HTTP', { timeout: 900_000 }, async (t) => {
  t.diagnostic(`seed ${seed}`);
  const rig = await Rig.start(t, { settings: { inactivityMs: 5000, headTimeoutMs: 2000 } });
  let messages = 0;
  let forwarded = 0;
  for (let from = 0; messages < messagesWanted; from += batch) {
    const batchSeed = (seed + from) % 2 ** 31;
    const conversations = fc.sample(conversation, { seed: batchSeed, numRuns: batch });
    const responses = conversations.flatMap((one) => one.responses);
    rig.backend.serve((_request, peer) => {
      messages++;
      forwarded++;
      const planned = responses.pop() ?? conversations[0]?.responses[0];
      if (planned !== undefined) void respond(peer, planned);
      return '';
    });
    const sent = new Set<string>();
    const left = [...conversations];
    const run = async (): Promise<void> => {
      for (let next = left.pop(); next !== undefined; next = left.pop()) {
        messages += next.requests.length;
        const text = await converse(rig, next).catch((error: Error) => {
          throw new Error(`seed ${batchSeed}: ${error.message}`);
        });
        for (const message of requestsOf(text).messages) sent.add(meaningOf(message));
      }
    };
    await Promise.all(Array.from({ length: clientsAtOnce }, run));
    await rig.proxy.untilQuiet();
    for (const peer of rig.backend.peers.splice(0)) {
      checkReceived(peer, sent, batchSeed);
      peer.socket.destroy();
    }
  }
  t.diagnostic(`${messages} messages, ${forwarded} of them requests that a backend received`);
  assert.ok(forwarded > messagesWanted / 10);
});

/** Method, target and body. */
function meaningOf({ startLine, body }: ReferenceMessage): string {
  return `${startLine.replace(/ HTTP\/1\.[0-9]$/, '').replace(/ https?:\/\/[^/?]+/i, ' ')}\n${body}`;
}

/** Every byte belongs to a valid request that a client sent, with its body; the last may be incomplete. */
function checkReceived({ received }: BackendPeer, sent: ReadonlySet<string>, batchSeed: number): void {
  for (let rest = received; rest !== ''; ) {
    const message = readRequest(rest);
    const shown = `seed ${batchSeed}: a backend received ${JSON.stringify(rest.slice(0, 500))}`;
    assert.notEqual(message.kind, 'bad', shown);
    if (message.kind !== 'message') return;
    assert.ok(sent.has(meaningOf(message)), `${shown}, which no client sent`);
    rest = rest.slice(message.length);
  }
}
