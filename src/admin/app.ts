import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { streamSSE } from 'hono/streaming';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import type { Log } from '../base/log.ts';
import { type OperationName, operationOf, type Performer } from '../operations/catalogue.ts';
import { type AccessControl, type Caller, requireAccess } from './access.ts';
import { endpointNames, endpoints, eventsPath } from './endpoints.ts';
import { type EventFeed, eventSchemas } from './event-feed.ts';
import { aliveMs, type EventSelection, EventStreams } from './event-stream.ts';
import { openApi } from './openapi.ts';
import { ApiError, type Problem, problemOf } from './problem.ts';
import { type InputParts, readInput, waitParameter } from './read-input.ts';
import type { StaticFiles } from './static-files.ts';

/** Everything that the API works with. */
export interface AdminParts {
  readonly performer: Performer;
  readonly access: AccessControl;
  readonly events: EventFeed;
  readonly dashboard: StaticFiles;
  /** The documentation. */
  readonly help: StaticFiles;
  readonly log: Log;
  /** Whether no further requests are taken, because another process is to answer them. */
  readonly isEnding: () => boolean;
}

/** Of one request. */
interface Variables {
  caller: Caller;
}

/** Of Node's server. */
interface Bindings {
  readonly incoming: IncomingMessage;
}

type ApiContext = Context<{ Bindings: Bindings; Variables: Variables }>;
type ApiApp = Hono<{ Bindings: Bindings; Variables: Variables }>;

/** The largest body of a request, in bytes: 1,000 records with certificates. */
const bodyBytesMax = 16 * 1024 * 1024;
const waitSecondsMax = 3600;
/** Where the documentation is served. */
export const helpPath = '/help/';
/** Of a host, in the log. */
const loggedCharsMax = 300;

const headers = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
};

/** The admin API, without its sockets. */
export function adminApp({ access, dashboard, events, help, isEnding, log, performer }: AdminParts): ApiApp {
  const streams = new EventStreams(events);
  const app: ApiApp = new Hono();
  app.onError((error, context) => failed(context, error, log));
  app.notFound((context) => {
    const { methods, near } = whereabouts(context.req.path);
    if (methods.length === 0) return problemResponse(context, { status: 404, code: 'PATH_UNKNOWN', detail: near });
    context.header('allow', methods.join(', '));
    const detail = `${context.req.path} takes ${methods.join(', ')}`;
    return problemResponse(context, { status: 405, code: 'METHOD_UNKNOWN', detail });
  });
  app.use(async (context, next) => {
    for (const [name, value] of Object.entries(headers)) context.header(name, value);
    if (isEnding()) throw new ApiError(503, 'RESTARTING', 'the API has another configuration by now; connect again');
    if (context.req.query('token') !== undefined) {
      throw new ApiError(
        400,
        'TOKEN_IN_URL',
        'logs and histories keep URLs; send the token as "Authorization: Bearer TOKEN"',
      );
    }
    const host = context.req.header('host') ?? '';
    access.checkHost(host);
    if (context.req.method !== 'GET' && context.req.method !== 'HEAD') checkOrigin(context, host);
    await next();
  });
  for (const path of ['/', '/assets/:name']) app.get(path, (context) => dashboard.respond(context));
  app.get(helpPath.slice(0, -1), (context) => context.redirect(helpPath, 308));
  app.get(`${helpPath}*`, (context) => help.respond(context));
  app.get('/v1/openapi.json', (context) => context.json(openApi()));
  // Before anything of the body is read.
  app.use(async (context, next) => {
    const certificate = certificateOf(context.env.incoming.socket);
    context.set('caller', access.callerOf(certificate, context.req.header('authorization') ?? null));
    await next();
  });
  app.use(
    bodyLimit({
      maxSize: bodyBytesMax,
      onError: () => {
        throw new ApiError(413, 'BODY_TOO_LARGE', `a body may have ${bodyBytesMax} bytes`);
      },
    }),
  );
  app.get(eventsPath, (context) => {
    // A stream without a reader would never end.
    if (context.req.method === 'HEAD') return context.body(null, 200, { 'content-type': 'text/event-stream' });
    const selection = selectionOf(context.req);
    streams.admit();
    return streamSSE(context, (stream) => streams.send(stream, selection));
  });
  for (const name of endpointNames()) {
    const { method, path } = endpoints[name];
    app.on(method, path.replaceAll(/\{(\w+)\}/g, ':$1'), async (context) => {
      requireAccess(context.get('caller'), operationOf(name).access);
      return respond(name, context, { events, performer, log });
    });
  }
  return app;
}

async function respond(
  name: OperationName,
  context: ApiContext,
  { events, log, performer }: Pick<AdminParts, 'events' | 'performer' | 'log'>,
): Promise<Response> {
  const operation = operationOf(name);
  const isChange = operation.access === 'write';
  const input = readInput(name, await partsOf(context));
  const waitSeconds = isChange ? waitOf(context) : null;
  const audit = (result: string): void => {
    if (!isChange) return;
    const from = context.env.incoming.socket.remoteAddress ?? 'socket';
    const host = typeof input['host'] === 'string' ? input['host'].slice(0, loggedCharsMax) : null;
    const by = context.get('caller').name;
    log.info('admin API', { by, from, operation: name, host: host ?? undefined, result });
    events.audit({ by, from, operation: name, host, result });
  };
  const act = async (onStep: (step: unknown) => void): Promise<Record<string, unknown>> => {
    let result: Record<string, unknown>;
    try {
      result = (await performer.perform(name, input as never, onStep)) as Record<string, unknown>;
    } catch (error) {
      audit(problemOf(error)?.code ?? 'failed');
      throw error;
    }
    audit('done');
    if (waitSeconds === null) return result;
    return { ...result, live: await performer.perform('waitUntilLive', { seconds: waitSeconds }) };
  };
  if (operation.step === null || context.req.header('accept')?.includes('text/event-stream') !== true) {
    const result = await act(() => {});
    if (typeof result['version'] === 'string') context.header('etag', `"${result['version']}"`);
    return context.json(result);
  }
  return streamSSE(context, async (stream) => {
    const send = (event: string, data: unknown): Promise<void> =>
      stream.writeSSE({ event, data: JSON.stringify(data) });
    const alive = setInterval(() => void stream.write(':\n\n'), aliveMs);
    try {
      await send('result', await act((step) => void send('step', step)));
    } catch (error) {
      await send('problem', expected(error, log));
    } finally {
      clearInterval(alive);
    }
  });
}

/** @throws ApiError 400, 415. */
async function partsOf(context: ApiContext): Promise<InputParts> {
  const { req } = context;
  const body = req.method === 'GET' ? '' : await req.text();
  const type = req.header('content-type') ?? '';
  // A form of another page cannot send this. Without a body, it could as well.
  if ((body !== '' || req.method === 'POST') && !/^application\/json *(;|$)/i.test(type)) {
    throw new ApiError(415, 'BODY_TYPE', `content-type: found ${JSON.stringify(type)}, allowed application/json`);
  }
  return {
    path: req.param(),
    query: new URL(req.url).searchParams,
    ifMatch: req.header('if-match') ?? null,
    ifNoneMatch: req.header('if-none-match') ?? null,
    body,
  };
}

/** A browser says where a request comes from, and shows a certificate by itself. @throws ApiError 403. */
function checkOrigin({ req }: ApiContext, host: string): void {
  const origin = req.header('origin') ?? null;
  const site = req.header('sec-fetch-site') ?? 'none';
  const isOwn = origin === null || (URL.canParse(origin) && new URL(origin).host === host.toLowerCase());
  if (isOwn && (site === 'none' || site === 'same-origin')) return;
  throw new ApiError(403, 'ORIGIN_FOREIGN', 'the request comes from a page of another origin');
}

/** @returns null if nobody waits. @throws ApiError 400. */
function waitOf({ req }: ApiContext): number | null {
  const text = req.query(waitParameter);
  if (text === undefined) return null;
  const seconds = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && seconds <= waitSecondsMax) return seconds;
  const allowed = `0 to ${waitSecondsMax} seconds`;
  throw new ApiError(400, 'REQUEST_INVALID', `${waitParameter}: found ${JSON.stringify(text)}, allowed ${allowed}`);
}

/** Null if the client has shown none that `clientCa` has issued. */
function certificateOf(socket: Socket | TLSSocket): string | null {
  if (!('getPeerCertificate' in socket) || !socket.authorized) return null;
  const { subject } = socket.getPeerCertificate();
  const name = subject?.CN ?? 'a certificate';
  return Array.isArray(name) ? name.join(', ') : name;
}

function failed(context: ApiContext, error: unknown, log: Log): Response {
  return problemResponse(context, expected(error, log));
}

function expected(error: unknown, log: Log): Problem {
  const problem = problemOf(error);
  if (problem !== null) return problem;
  if (hasGone(error)) return { status: 400, code: 'REQUEST_INVALID', detail: 'the client has gone within its request' };
  log.error('internal error in the admin API', { error: error as Error });
  return { status: 500, code: 'INTERNAL', detail: 'internal error; the log of the instance says more' };
}

/** Whether Node has ended a request because its connection has closed. */
function hasGone(error: unknown): boolean {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === 'ECONNRESET' && message === 'aborted';
}

function problemResponse(context: ApiContext, problem: Problem): Response {
  if (problem.status === 401) context.header('www-authenticate', 'Bearer');
  return context.body(JSON.stringify(problem), problem.status as ContentfulStatusCode, {
    'content-type': 'application/problem+json',
  });
}

/** @throws ApiError 400. */
function selectionOf(request: ApiContext['req']): EventSelection {
  const known = Object.keys(eventSchemas);
  const parameters = new URL(request.url).searchParams;
  for (const name of parameters.keys()) {
    if (name !== 'host' && name !== 'only' && name !== 'after') {
      throw new ApiError(
        400,
        'REQUEST_INVALID',
        `${JSON.stringify(name)}: there is no such field; allowed host, only, after`,
      );
    }
  }
  const names = parameters.get('only')?.split(',') ?? null;
  const unknown = names?.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new ApiError(400, 'REQUEST_INVALID', `only: found ${JSON.stringify(unknown)}, allowed ${known.join(', ')}`);
  }
  const after = request.header('last-event-id') ?? parameters.get('after');
  return { after, host: parameters.get('host'), names };
}

/** The methods of a path, and what to say if there are none. */
function whereabouts(path: string): { readonly methods: readonly string[]; readonly near: string } {
  const methods = [...Object.values(endpoints), { method: 'GET', path: eventsPath }]
    .filter((endpoint) => new RegExp(`^${endpoint.path.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(path))
    .map(({ method }) => method);
  const near = `there is no ${path}; GET /v1/openapi.json describes what there is, and a host with a path is one segment: example.com%2Fapi`;
  return { methods: [...new Set(methods)], near };
}
