import type { Agent as AnyAgent, ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import { Agent, request } from '../base/node-http.ts';
import { type EngineAddress, type EngineTls, shownEngine } from './engine-address.ts';

/** The version of the API whose fields are read. An engine that is newer or older is asked in the nearest that it has. */
const wantedVersion: Version = [1, 41];
/** The oldest that has all that is used: that of Docker 1.12, and the oldest of Podman. */
const oldestVersion: Version = [1, 24];
/** Longest response, in bytes: a list of tens of thousands of containers. */
const responseBytesMax = 64 * 1024 * 1024;
/** Longest line of the stream of events, in characters. */
const eventCharsMax = 1024 * 1024;
/** Without a byte for so long, a response is given up, in ms. The stream of events may be silent. */
const silenceMs = 30_000;
/** Between two probes of a silent connection for events, in ms. */
const keepAliveMs = 30_000;

type Version = readonly [major: number, minor: number];

/** The engine, as it describes itself. */
interface Engine {
  readonly isPodman: boolean;
  /** How far its clock is ahead of ours, in ms, to about a second. */
  readonly aheadMs: number;
}

/** Something has happened to a container. */
export interface EngineEvent {
  readonly id: string;
  readonly action: string;
  /** In epoch ms, by the clock of the engine. */
  readonly timeMs: number;
  readonly attributes: Readonly<Record<string, string>>;
  readonly isOfContainer: boolean;
}

/** The stream of events. */
export interface EventStream {
  /** Rejects once the stream has ended, with the reason. */
  readonly ended: Promise<never>;
  close(): void;
}

/** The engine has responded with an error. */
export class EngineError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** A client of the API of Docker, which Podman has too. Knows nothing of containers. */
export class EngineClient {
  /** For messages. */
  readonly name: string;
  private readonly address: EngineAddress;
  private prefix = '';
  private agent: AnyAgent;

  constructor(address: EngineAddress) {
    this.address = address;
    this.name = shownEngine(address);
    this.agent = this.makeAgent();
  }

  /** Agrees on the version of the API. @throws Error. */
  async negotiate(): Promise<Engine> {
    // Connections of an engine that was restarted are dead.
    this.close();
    const { response } = await this.send('/version');
    if (response.statusCode !== 200) throw await errorOf(response);
    const dateMs = Date.parse(response.headers.date ?? '');
    const answer = this.parse(await textOf(response)) as Partial<Record<string, unknown>> | null;
    const [newest, oldest] = [readVersion(answer?.['ApiVersion']), readVersion(answer?.['MinAPIVersion'])];
    if (newest === null) throw new Error(`no engine of containers answers at ${this.name}: it says no ApiVersion`);
    const version = [oldest ?? oldestVersion, wantedVersion].reduce(later);
    const chosen = later(newest, version) === newest ? version : newest;
    if (later(chosen, oldestVersion) !== chosen) {
      throw new Error(`the engine has the API ${newest.join('.')} only; ${oldestVersion.join('.')} is needed`);
    }
    this.prefix = `/v${chosen.join('.')}`;
    return {
      isPodman: JSON.stringify(answer?.['Components'] ?? '').includes('Podman'),
      aheadMs: Number.isNaN(dateMs) ? 0 : dateMs - Date.now(),
    };
  }

  /** Closes idle connections. */
  close(): void {
    this.agent.destroy();
    this.agent = this.makeAgent();
  }

  /** The response to a GET, as JSON. @throws EngineError for a status other than 200; Error. */
  async get(path: string): Promise<unknown> {
    const { response } = await this.send(this.prefix + path);
    if (response.statusCode !== 200) throw await errorOf(response);
    return this.parse(await textOf(response));
  }

  /**
   * Follows events of containers, and of networks that containers join and leave.
   * @param sinceMs events from this time on come first.
   * @throws Error if the stream cannot be opened.
   */
  async events(sinceMs: number, onEvent: (event: EngineEvent) => void): Promise<EventStream> {
    const filters = encodeURIComponent(JSON.stringify({ type: ['container', 'network'] }));
    const since = Math.floor(sinceMs / 1000);
    const { response, sent } = await this.send(`${this.prefix}/events?since=${since}&filters=${filters}`);
    if (response.statusCode !== 200) throw await errorOf(response);
    sent.setTimeout(0);
    response.socket.setKeepAlive(true, keepAliveMs);
    const ended = Promise.withResolvers<never>();
    ended.promise.catch(() => {});
    let rest = '';
    response.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > eventCharsMax) sent.destroy(new Error('an event is too long'));
      for (const line of lines) {
        const event = readEvent(line);
        if (event !== null) onEvent(event);
      }
    });
    response.once('error', ended.reject);
    response.once('close', () => ended.reject(new Error('the stream of events has ended')));
    return { ended: ended.promise, close: () => sent.destroy() };
  }

  private parse(text: string): unknown {
    try {
      return JSON.parse(text);
    } catch {
      throw new Error(`no JSON from ${this.name}: ${text.slice(0, 100)}`);
    }
  }

  private send(path: string): Promise<{ readonly sent: ClientRequest; readonly response: IncomingMessage }> {
    const { address, agent } = this;
    const options: RequestOptions = {
      agent,
      method: 'GET',
      headers: { accept: 'application/json' },
      timeout: silenceMs,
    };
    const { promise, reject, resolve } = Promise.withResolvers<IncomingMessage>();
    const sent =
      address.kind === 'unix'
        ? request(`http://localhost${path}`, { ...options, socketPath: address.path }, resolve)
        : address.tls === null
          ? request(new URL(path, address.url), options, resolve)
          : tlsRequest(new URL(path, address.url), options, resolve);
    sent.once('timeout', () => sent.destroy(new Error(`no answer within ${silenceMs / 1000} s`)));
    sent.on('error', (error: NodeJS.ErrnoException) => reject(new Error(this.explain(error), { cause: error })));
    sent.end();
    return promise.then((response) => ({ sent, response }));
  }

  private makeAgent(): AnyAgent {
    const { address } = this;
    const isSecure = address.kind === 'tcp' && address.tls !== null;
    return isSecure ? new TlsAgent({ keepAlive: true, ...tlsOptions(address.tls) }) : new Agent({ keepAlive: true });
  }

  private explain({ code, message }: NodeJS.ErrnoException): string {
    if (code === 'ENOENT') return `there is no socket ${this.name}: does the engine run?`;
    if (code === 'EACCES') return `this user may not connect to ${this.name}: add it to the group of the socket`;
    return `no answer from ${this.name}: ${message}`;
  }
}

function tlsOptions(tls: EngineTls | null) {
  const { ca, cert, key } = tls ?? { ca: null, cert: null, key: null };
  return { ...(ca === null ? {} : { ca }), ...(cert === null || key === null ? {} : { cert, key }) };
}

async function textOf(response: IncomingMessage): Promise<string> {
  const parts: string[] = [];
  let length = 0;
  for await (const part of response.setEncoding('utf8') as AsyncIterable<string>) {
    length += part.length;
    if (length > responseBytesMax) throw new Error(`a response has more than ${responseBytesMax} bytes`);
    parts.push(part);
  }
  return parts.join('');
}

async function errorOf(response: IncomingMessage): Promise<EngineError> {
  const status = response.statusCode ?? 0;
  const text = await textOf(response);
  let message = text.slice(0, 200);
  try {
    message = String((JSON.parse(text) as { message?: unknown }).message ?? message);
  } catch {
    // It is shown as it is.
  }
  return new EngineError(status, `the engine responds with ${status}: ${message.trim()}`);
}

function readEvent(line: string): EngineEvent | null {
  if (line.trim() === '') return null;
  let value: Record<string, unknown> | null;
  try {
    value = JSON.parse(line) as Record<string, unknown> | null;
  } catch {
    return null;
  }
  const actor = value?.['Actor'] as { readonly ID?: unknown; readonly Attributes?: unknown } | undefined;
  const attributes = (actor?.Attributes ?? {}) as Record<string, string>;
  const isOfContainer = value?.['Type'] === 'container';
  // The actor of a network's event is the network.
  const id = isOfContainer ? actor?.ID : attributes['container'];
  const [action, nano, seconds] = [value?.['Action'], value?.['timeNano'], value?.['time']];
  if (typeof id !== 'string' || typeof action !== 'string') return null;
  const timeMs = typeof nano === 'number' ? nano / 1e6 : typeof seconds === 'number' ? seconds * 1000 : Date.now();
  return { id, action, timeMs, attributes, isOfContainer };
}

function readVersion(value: unknown): Version | null {
  const [, major, minor] = /^(\d+)\.(\d+)$/.exec(String(value)) ?? [];
  return major === undefined ? null : [Number(major), Number(minor)];
}

/** The later of two versions; the first one if they are the same. */
function later(one: Version, other: Version): Version {
  return other[0] > one[0] || (other[0] === one[0] && other[1] > one[1]) ? other : one;
}
