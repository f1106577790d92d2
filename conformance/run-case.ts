import { type CapturingBackend, markerPaths } from './capturing-backend.ts';
import type { ClientStep, ConformanceCase } from './case.ts';
import { ConformanceClient } from './client.ts';
import type { ComparedProxy } from './proxies.ts';
import { statusOf, type WireMessage } from './wire.ts';

/** How long a proxy has to close a connection on which the backend has sent bytes unasked, in ms. */
const idleMsMax = 200;

const [marker, sync] = markerPaths;

/** What one proxy made of one case. */
export interface Observation {
  /** Complete requests that reached the backend, without those of the runner. */
  readonly requests: readonly WireMessage[];
  /** Why the backend could not read what came. */
  readonly backendFault: string | null;
  /** Why the client could not read what came. */
  readonly clientFault: string | null;
  readonly informational: readonly number[];
  /** The first final response; null if it is not complete. */
  readonly final: WireMessage | null;
  /** The last final response to the case. */
  readonly last: WireMessage | null;
  /** The status of the first final response, complete or not; null if none began. */
  readonly status: number | null;
  /**
   * What became of the client's connection. Refused: what followed was refused. Mixed up: the next request got something
   * else than its response.
   */
  readonly connection: 'kept' | 'closed' | 'refused' | 'no answer' | 'mixed up';
  /** What came back through the tunnel after a 101, of an end that echoes; null if nothing did. */
  readonly tunnel: string | null;
  /** Whether the next request of another client got something else than its response. */
  readonly poisoned: boolean;
  /** All bytes on both sides. */
  readonly transcript: Transcript;
}

interface Transcript {
  readonly client: { readonly sent: string; readonly received: string; readonly end: string };
  readonly backend: readonly { readonly received: string; readonly sent: string }[];
}

/**
 * Runs one case against a proxy.
 * @param answerMsMax how long is waited for something that should come; then it is "no answer".
 */
export async function runCase(one: ConformanceCase, proxy: ComparedProxy, answerMsMax: number): Promise<Observation> {
  const { port, backend } = proxy;
  backend.begin(one.replies ?? []);
  const steps = typeof one.send === 'string' ? [one.send] : one.send;
  const client = await ConformanceClient.connect(port, typeof steps[0] === 'string' && steps[0].startsWith('HEAD '));
  for (const step of steps) await take(step, client, answerMsMax);
  if (one.leaves) client.leave();
  const answers = one.answers ?? 1;
  const answered = (): boolean => client.switched || client.finals.length >= answers || isOver(client);
  const isAnswered = await client.changes.until(answered, answerMsMax);
  const tunnel = client.switched ? await echoOf(client, 'ping', answerMsMax) : null;
  const connection =
    isAnswered && !client.switched ? await connectionAfter(client, backend, answers, answerMsMax) : 'no answer';
  const transcriptOfBackend = backend.transcript();
  const poisoned = !(await answersSync(port, answerMsMax));
  const { requests, fault } = backend.capture;
  const observation: Observation = {
    ...{ requests, backendFault: fault, clientFault: client.fault, tunnel, poisoned },
    informational: client.responses.map(({ startLine }) => statusOf(startLine)).filter(isInformational),
    final: client.finals[0] ?? null,
    last: client.finals[answers - 1] ?? null,
    status: statusIn(client.finals[0]?.startLine ?? client.rest),
    connection: client.switched ? 'closed' : connection,
    transcript: {
      client: { sent: client.sent, received: client.received, end: client.end },
      backend: transcriptOfBackend,
    },
  };
  client.close();
  await backend.endAll();
  return observation;
}

async function take(step: ClientStep, client: ConformanceClient, answerMsMax: number): Promise<void> {
  if (typeof step === 'string') {
    client.send(step);
    // Each text is a segment of its own.
    await new Promise(setImmediate);
  } else if ('untilFinal' in step) {
    await client.changes.until(() => client.finals.length > 0 || isOver(client), answerMsMax);
  } else {
    await client.changes.until(() => client.responses.length > 0 || isOver(client), answerMsMax);
    client.isUnfinished = client.finals.length > 0;
    if (!client.isUnfinished) client.send(step.bodyUnlessFinal);
  }
}

/** Asks for a marker on the same connection, unless the response says that it ends. */
async function connectionAfter(
  client: ConformanceClient,
  backend: CapturingBackend,
  answers: number,
  answerMsMax: number,
): Promise<Observation['connection']> {
  const isAnswered = (): boolean => client.finals.length > answers;
  // A client that has not sent its body cannot send another request.
  if (client.isUnfinished) return 'closed';
  if (!isOver(client) && !isAnswered()) {
    if (backend.sendIdle()) await backend.changes.until(() => backend.connections.size === 0, idleMsMax);
    if (!client.announcesEnd) client.send(`GET ${marker} HTTP/1.1\r\nHost: a.test\r\n\r\n`);
  }
  await client.changes.until(() => isAnswered() || isOver(client), answerMsMax);
  // Behind the responses to the case: that to the marker, or one to bytes that were left over.
  const next = client.finals[answers];
  if (next?.body === marker) return 'kept';
  if (next !== undefined) return statusOf(next.startLine) >= 400 ? 'refused' : 'mixed up';
  return isOver(client) ? 'closed' : 'no answer';
}

/** Whether the next request of another client gets its response. */
async function answersSync(port: number, answerMsMax: number): Promise<boolean> {
  const client = await ConformanceClient.connect(port, false);
  client.send(`GET ${sync} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n`);
  await client.changes.until(() => client.finals.length > 0 || isOver(client), answerMsMax);
  client.close();
  return client.finals[0]?.body === sync;
}

/** Sends these bytes through the tunnel. @returns all that came out of it up to them; null if they do not come back. */
async function echoOf(client: ConformanceClient, bytes: string, answerMsMax: number): Promise<string | null> {
  client.send(bytes);
  await client.changes.until(() => client.rest.endsWith(bytes) || isOver(client), answerMsMax);
  return client.rest.endsWith(bytes) ? client.rest : null;
}

function isOver(client: ConformanceClient): boolean {
  return client.end !== 'open' || client.fault !== null;
}

function isInformational(status: number): boolean {
  return status < 200 && status !== 101;
}

/** The status at the begin of a response, complete or not, well-formed or not. */
function statusIn(bytes: string): number | null {
  const [, status] = /^HTTP\/\S+ +(\d{3})/i.exec(bytes) ?? [];
  return status === undefined ? null : Number(status);
}
