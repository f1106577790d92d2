import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { BackendPeer } from '../helpers/raw-backend.ts';
import { type ReferenceMessage, readRequest, readResponse, values } from '../helpers/reference-parser.ts';
import { Rig, response } from '../helpers/rig.ts';
import { until } from '../helpers/until.ts';
import { cut, cuts, mutate, mutation, request } from './messages.ts';

const limits = { numRuns: 400, interruptAfterTimeLimit: 4000, markInterruptAsFailure: false } as const;

/** Bytes of every kind, few or many, without storing them in the arbitrary. */
const body = fc
  .tuple(fc.nat({ max: 255 }), fc.oneof(fc.nat({ max: 50 }), fc.nat({ max: 2000 }), fc.constantFrom(65_536, 150_000)))
  .map(([seed, length]) =>
    String.fromCharCode(...Array.from({ length: 251 }, (_, at) => (seed + at * 7) & 255))
      .repeat(length / 251 + 1)
      .slice(0, length),
  );
const framing = fc.constantFrom('none', 'length', 'chunked');
const sizes = fc.array(fc.integer({ min: 1, max: 40_000 }), { minLength: 1, maxLength: 4 });

/** One request, and the response of its backend. */
const exchange = fc.record({
  method: fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'),
  framing,
  body,
  sizes,
  cuts,
  response: fc.record({
    status: fc.constantFrom(200, 200, 200, 204, 304, 404, 500),
    framing: fc.constantFrom('length', 'length', 'chunked', 'close'),
    body,
    sizes,
    cuts,
    informationals: fc.constantFrom(0, 0, 0, 1, 2),
    trailer: fc.boolean(),
    closes: fc.constantFrom(false, false, false, true),
  }),
});
type Planned = typeof exchange extends fc.Arbitrary<infer T> ? T : never;

function chunks(text: string, lengths: readonly number[], trailer: string): string {
  let out = '';
  for (let at = 0, turn = 0; at < text.length; turn++) {
    const piece = text.slice(at, at + (lengths[turn % lengths.length] as number));
    out += `${piece.length.toString(16)}${turn % 2 === 0 ? '' : ';x=y'}\r\n${piece}\r\n`;
    at += piece.length;
  }
  return `${out}0\r\n${trailer}\r\n`;
}

function requestText({ method, framing: framed, body: data, sizes: lengths }: Planned, at: number): string {
  const lines = [`${method} /${at} HTTP/1.1`, 'Host: a.test', `X-Plan: ${at}`];
  if (framed === 'length') lines.push(`Content-Length: ${data.length}`);
  if (framed === 'chunked') lines.push('Transfer-Encoding: chunked');
  const head = `${lines.join('\r\n')}\r\n\r\n`;
  if (framed === 'none') return head;
  return head + (framed === 'length' ? data : chunks(data, lengths, 'X-Trailer: t\r\nHost: evil\r\n'));
}

function hasBody({ method, response: { status } }: Planned): boolean {
  return method !== 'HEAD' && status !== 204 && status !== 304;
}

function responseText(planned: Planned, at: number): string {
  const { status, framing: framed, body: data, sizes: lengths, informationals, trailer, closes } = planned.response;
  const lines = [`HTTP/1.1 ${status} Planned`, `X-Plan: ${at}`];
  if (framed === 'length') lines.push(`Content-Length: ${data.length}`);
  if (framed === 'chunked') lines.push('Transfer-Encoding: chunked');
  if (closes) lines.push('Connection: close');
  const head = `${'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n'.repeat(informationals)}${lines.join('\r\n')}\r\n\r\n`;
  if (!hasBody(planned)) return head;
  return head + (framed === 'chunked' ? chunks(data, lengths, trailer ? 'X-Trailer: t\r\n' : '') : data);
}

/** Sends in pieces, as far as the kernel keeps them apart. */
async function sendPieces(socket: { write(bytes: Buffer): boolean }, pieces: readonly string[]): Promise<void> {
  for (const piece of pieces) {
    if (piece !== '') socket.write(Buffer.from(piece, 'latin1'));
    await new Promise(setImmediate);
  }
}

async function respondAs(planned: Planned, at: number, peer: BackendPeer): Promise<void> {
  await sendPieces(peer.socket, cut(responseText(planned, at), planned.response.cuts));
  const { closes, framing: framed } = planned.response;
  if (closes || (framed === 'close' && hasBody(planned))) peer.socket.end();
}

type ReadResponses = { message: ReferenceMessage; informationals: number }[];

/** All final responses to these methods, with a count of the informational ones before them. */
function readResponses(text: string, plan: readonly Planned[]): ReadResponses | null {
  const responses: ReadResponses = [];
  let rest = text;
  for (const { method } of plan) {
    for (let informationals = 0; ; informationals++) {
      const message = readResponse(rest, method === 'HEAD');
      if (message.kind === 'bad') throw new Error(`not a response: ${JSON.stringify(rest.slice(0, 200))}`);
      if (message.kind === 'more') return null;
      rest = rest.slice(message.length);
      if (message.startLine.startsWith('HTTP/1.1 1')) continue;
      responses.push({ message, informationals });
      break;
    }
  }
  assert.equal(rest, '');
  return responses;
}

test('valid exchanges arrive as they were sent, in both directions', async (t) => {
  const rig = await Rig.start(t);
  await fc.assert(
    fc.asyncProperty(fc.array(exchange, { minLength: 1, maxLength: 6 }), cuts, async (plan, positions) => {
      const seen: ReferenceMessage[] = [];
      rig.backend.serve((message, peer) => {
        seen.push(message);
        const at = Number(values(message.fields, 'x-plan')[0]);
        void respondAs(plan[at] as Planned, at, peer);
        return '';
      });
      const client = await rig.client();
      const sent = sendPieces(client.socket, cut(plan.map(requestText).join(''), positions));
      let responses: ReadResponses | null = null;
      let length = -1;
      await until('every response', () => {
        if (client.received.length !== length) responses = readResponses(client.received, plan);
        length = client.received.length;
        return responses !== null || client.closed || client.ended;
      });
      await sent;
      assert.notEqual(
        responses,
        null,
        `closed before every response: ${JSON.stringify(rig.proxy.ended.slice(-plan.length))}`,
      );
      for (const [at, planned] of plan.entries()) {
        const arrived = seen[at] as ReferenceMessage;
        assert.equal(arrived.startLine, `${planned.method} /${at} HTTP/1.1`);
        assert.equal(arrived.body, planned.framing === 'none' ? '' : planned.body);
        assert.equal(arrived.chunked, planned.framing === 'chunked');
        assert.deepEqual(arrived.trailers, planned.framing === 'chunked' ? [['X-Trailer', 't']] : []);
        const { message, informationals } = (responses as unknown as ReadResponses)[at] as ReadResponses[number];
        assert.equal(message.startLine, `HTTP/1.1 ${planned.response.status} Planned`);
        assert.equal(informationals, planned.response.informationals);
        assert.equal(message.body, hasBody(planned) ? planned.response.body : '');
        assert.deepEqual(values(message.fields, 'x-plan'), [String(at)]);
      }
      assert.equal(seen.length, plan.length);
      client.close();
    }),
    limits,
  );
  await rig.proxy.untilQuiet();
});

test('whatever clients send, backends get only valid requests, and nothing stays in progress', async (t) => {
  const rig = await Rig.start(t);
  rig.backend.serve(({ startLine }) => response(startLine.startsWith('HEAD') ? '' : 'served'));
  await fc.assert(
    fc.asyncProperty(
      fc.array(request, { minLength: 1, maxLength: 3 }),
      mutation,
      cuts,
      async (texts, changes, positions) => {
        const text = mutate(texts.join(''), changes);
        const client = await rig.client();
        await sendPieces(client.socket, cut(text, positions));
        client.socket.end();
        await until('the end', () => client.ended || client.closed);
        client.close();
        await rig.proxy.untilQuiet();
        // Every status is the proxy's own or the backend's, and every response can be parsed.
        for (const status of client.statuses)
          assert.ok([200, 400, 405, 408, 414, 417, 431, 501, 505].includes(status), `${status}`);
      },
    ),
    limits,
  );
  for (const { received } of rig.backend.peers) {
    for (let rest = received; rest !== ''; ) {
      const message = readRequest(rest);
      assert.notEqual(message.kind, 'bad', JSON.stringify(rest.slice(0, 500)));
      if (message.kind !== 'message') break;
      assert.equal(values(message.fields, 'x-real-ip').length, 1);
      rest = rest.slice(message.length);
    }
  }
});

test('clients that leave at any moment leave nothing behind', async (t) => {
  const rig = await Rig.start(t, { backends: 2, settings: { backendConnectionsMax: 3, keepAliveMs: 60_000 } });
  const { counters } = rig.proxy.dataPlane;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(exchange, fc.nat(), fc.nat({ max: 6 }), fc.boolean()), { minLength: 1, maxLength: 5 }),
      async (leavers) => {
        const plan = leavers.map(([planned]) => planned);
        for (const backend of rig.backends) {
          backend.serve((message, peer) => {
            const at = Number(values(message.fields, 'x-plan')[0]);
            void respondAs(plan[at] as Planned, at, peer);
            return '';
          });
        }
        await Promise.all(
          leavers.map(async ([planned, position, turns, resets], at) => {
            const text = requestText(planned, at);
            const client = await rig.client();
            await sendPieces(client.socket, cut(text.slice(0, 1 + (position % text.length)), planned.cuts));
            for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate);
            if (resets) client.socket.resetAndDestroy();
            else client.close();
          }),
        );
        await until(
          'nothing in progress',
          () => counters.requestsInFlight === 0 && counters.clientConnectionsOpen === 0,
        );
        for (const { inFlight } of rig.proxy.frontend('a.test').backends) assert.equal(inFlight, 0);
        assert.equal(rig.proxy.frontend('a.test').load.inFlight, 0);
      },
    ),
    limits,
  );
});
