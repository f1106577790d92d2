import { performServerHandshake, type ServerHttp2Stream } from 'node:http2';
import { duplexPair } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { pingFrame, preface } from '../../src/http2/frame.ts';
import type { FieldPair } from './python-h2.ts';

/** A request that Node's own server of HTTP/2 has taken. */
interface NodeRequest {
  readonly fields: readonly FieldPair[];
  body: string;
  /** Whether it has come as a whole. */
  isWhole: boolean;
  /** Whether the stream has failed, or was reset. */
  isReset: boolean;
}

export interface NodeReading {
  readonly requests: ReadonlyMap<number, NodeRequest>;
  /** Why it has ended the connection; null if it has not. */
  readonly error: string | null;
}

/** What Node's own server of HTTP/2 makes of the bytes of a client, which are whole frames. */
export async function readWithNode(bytes: Buffer): Promise<NodeReading> {
  const [near, far] = duplexPair();
  const requests = new Map<number, NodeRequest>();
  const session = performServerHandshake(far);
  session.on('stream', (stream, _headers, _flags, raw) => take(stream, raw, requests));
  const error = await new Promise<string | null>((resolve) => {
    let received = '';
    near.on('data', (more: Buffer) => {
      received += more.toString('latin1');
      if (received.includes(pingFrame(true, 'the end!'))) resolve(null);
    });
    near.on('error', () => {});
    session.on('error', ({ message }: Error) => resolve(message));
    session.on('close', () => resolve('closed'));
    near.write(Buffer.concat([Buffer.from(preface), bytes, Buffer.from(pingFrame(false, 'the end!'))]));
  });
  // The ends of streams follow.
  for (let turns = 0; turns < 3; turns++) await nextTurn();
  const taken = new Map([...requests].map(([id, request]) => [id, { ...request }]));
  session.destroy();
  near.destroy();
  return { requests: taken, error };
}

function take(stream: ServerHttp2Stream, raw: readonly string[], requests: Map<number, NodeRequest>): void {
  const fields: FieldPair[] = [];
  for (let at = 0; at < raw.length; at += 2) fields.push([raw[at] as string, raw[at + 1] as string]);
  const request: NodeRequest = { fields, body: '', isWhole: false, isReset: false };
  requests.set(stream.id as number, request);
  stream.setEncoding('latin1');
  stream.on('data', (text: string) => {
    request.body += text;
  });
  stream.on('end', () => {
    request.isWhole = true;
  });
  for (const event of ['aborted', 'error']) {
    stream.on(event, () => {
      request.isReset = true;
    });
  }
}
