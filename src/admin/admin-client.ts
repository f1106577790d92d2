import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { type ErrorCode, errorKinds, HipacheError } from '../base/errors.ts';
import { request } from '../base/node-http.ts';
import {
  type InputOf,
  type OperationName,
  operationOf,
  type Performer,
  type ResultOf,
} from '../operations/catalogue.ts';
import { endpoints, isInQuery, pathFields, versionField } from './endpoints.ts';

/** Without a byte for so long, an instance counts as gone, in ms: a deploy may wait for an hour. */
const silenceMs = 3_700_000;

/** Does operations through the admin API of an instance. */
export class AdminClient implements Performer {
  private readonly base: URL;
  private readonly socketPath: string | null;
  private readonly token: string | null;

  /**
   * @param address `unix:` with a path, or a URL with http or https. @param token null for none.
   * @throws HipacheError COMMAND_INVALID.
   */
  constructor(address: string, token: string | null) {
    this.socketPath = address.startsWith('unix:') ? address.slice('unix:'.length) : null;
    const text = this.socketPath === null ? address : 'http://localhost';
    if (!URL.canParse(text) || !/^https?:/.test(text)) {
      const allowed = 'unix:/run/hipache/admin.sock, or a URL with http or https';
      throw new HipacheError('COMMAND_INVALID', `--admin: found ${JSON.stringify(address)}, allowed ${allowed}`);
    }
    this.base = new URL(text);
    this.token = token;
  }

  async perform<Name extends OperationName>(
    name: Name,
    input: InputOf<Name>,
    onStep: (step: unknown) => void = () => {},
  ): Promise<ResultOf<Name>> {
    const endpoint = endpoints[name];
    const fields = { ...(input as Record<string, unknown>) };
    const headers: Record<string, string> = { accept: 'application/json' };
    let { path } = endpoint;
    for (const field of pathFields(endpoint)) {
      const segment = encodeURIComponent(String(fields[field]));
      // A URL with such a segment leads elsewhere.
      if (/^\.{0,2}$/.test(segment))
        throw new HipacheError('COMMAND_INVALID', `${JSON.stringify(fields[field])} is no host`);
      path = path.replace(`{${field}}`, segment);
      delete fields[field];
    }
    const version = fields[versionField];
    delete fields[versionField];
    if (version === 'none') headers['if-none-match'] = '*';
    else if (typeof version === 'string') headers['if-match'] = `"${versionFor(version)}"`;
    let body = '';
    if (isInQuery(endpoint)) path += queryOf(fields);
    else {
      body = JSON.stringify(fields);
      headers['content-type'] = 'application/json';
    }
    const hasSteps = operationOf(name).step !== null;
    if (hasSteps) headers['accept'] = 'text/event-stream';
    const response = await this.send(endpoint.method, path, headers, body);
    if (response.headers['content-type']?.startsWith('text/event-stream') === true) {
      return (await resultOfEvents(name, response, onStep)) as ResultOf<Name>;
    }
    const text = await textOf(response);
    if (response.statusCode === 200) return resultOf(text) as ResultOf<Name>;
    throw errorOf(name, response.statusCode ?? 0, text);
  }

  private send(method: string, path: string, headers: Record<string, string>, body: string): Promise<IncomingMessage> {
    const { base, socketPath, token } = this;
    const authorization = token === null ? {} : { authorization: `Bearer ${token}` };
    const url = new URL(base.pathname.replace(/\/$/, '') + path, base);
    const options: RequestOptions = { method, headers: { ...headers, ...authorization }, timeout: silenceMs };
    if (socketPath !== null) options.socketPath = socketPath;
    const { promise, reject, resolve } = Promise.withResolvers<IncomingMessage>();
    const sent: ClientRequest = (url.protocol === 'https:' ? tlsRequest : request)(url, options, resolve);
    sent.once('timeout', () => sent.destroy(new Error('no answer')));
    sent.once('error', (cause) => {
      const where = socketPath === null ? base.origin : `unix:${socketPath}`;
      const why = `no answer from the admin API at ${where}: ${cause.message}`;
      reject(new HipacheError('INSTANCE_UNREACHABLE', why, { cause }));
    });
    sent.end(body);
    return promise;
  }
}

function queryOf(fields: Readonly<Record<string, unknown>>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined || value === null) continue;
    for (const one of Array.isArray(value) ? value : [value]) query.append(name, String(one));
  }
  return query.size === 0 ? '' : `?${query}`;
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk;
  return text;
}

/** Reads events until the one that ends them. */
async function resultOfEvents(
  name: OperationName,
  response: IncomingMessage,
  onStep: (step: unknown) => void,
): Promise<unknown> {
  let rest = '';
  for await (const chunk of response.setEncoding('utf8') as AsyncIterable<string>) {
    const events = (rest + chunk).split('\n\n');
    rest = events.pop() ?? '';
    for (const event of events) {
      const kind = /^event: *(.*)$/m.exec(event)?.[1];
      const data = /^data: *(.*)$/m.exec(event)?.[1] ?? 'null';
      if (kind === 'result') return JSON.parse(data) as unknown;
      if (kind === 'problem') throw errorOf(name, 0, data);
      if (kind === 'step') onStep(JSON.parse(data));
    }
  }
  throw new HipacheError('INSTANCE_UNREACHABLE', 'the admin API has ended its response before the result');
}

function resultOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new HipacheError('INSTANCE_UNREACHABLE', `--admin: no answer of the API: ${text.trim().slice(0, 200)}`);
  }
}

/** @throws HipacheError COMMAND_INVALID. */
function versionFor(version: string): string {
  if (/^[\x21\x23-\x7e]+$/.test(version)) return version;
  const found = `the version ${JSON.stringify(version)}`;
  throw new HipacheError('COMMAND_INVALID', `${found} is none; "hipache route show" prints it, or it is "none"`);
}

/** The error that the API has met. */
function errorOf(name: OperationName, status: number, text: string): HipacheError {
  try {
    const { code, detail } = JSON.parse(text) as { code: string; detail: string };
    if (errorKinds.has(code as ErrorCode)) return new HipacheError(code as ErrorCode, inCommandLine(name, detail));
    return new HipacheError('COMMAND_INVALID', `--admin: ${detail}`);
  } catch {
    const shown = text.trim().slice(0, 200);
    return new HipacheError(
      'INSTANCE_UNREACHABLE',
      `--admin: status ${status}, which is no answer of the API: ${shown}`,
    );
  }
}

/** Fields of an operation by the options that they are on the command line: `healthTimeout` is `--health-timeout`. */
function inCommandLine(name: OperationName, detail: string): string {
  return detail.replace(/^([a-z][A-Za-z]*)(?=: )/, (field) =>
    field in operationOf(name).input.shape
      ? `--${field.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
      : field,
  );
}
