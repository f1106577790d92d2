import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { getRequestListener } from '@hono/node-server';
import { systemClock } from '../base/clock.ts';
import type { LogFields } from '../base/log.ts';
import { dashboardDirectory, siteDirectory } from '../base/package-files.ts';
import type { Config } from '../config/config.ts';
import { type OperationMeans, operationOf, type Performer } from '../operations/catalogue.ts';
import { LocalPerformer } from '../operations/local-performer.ts';
import type { Store } from '../stores/contract.ts';
import { openStore } from '../stores/open-store.ts';
import type { WorkerStatistics } from '../telemetry/host-statistics.ts';
import type { LoadSummary } from '../telemetry/load-summary.ts';
import { RequestTail } from '../telemetry/request-tail.ts';
import { AccessControl } from './access.ts';
import { adminApp, helpPath } from './app.ts';
import { EventFeed, eventSchemas } from './event-feed.ts';
import { StaticFiles } from './static-files.ts';

interface ApiOptions {
  /** Default: a new SQLite file. */
  readonly driver?: string;
  /** Default: a socket, which needs no token. */
  readonly onAddress?: boolean;
  readonly admin?: Partial<Pick<Config['admin'], 'hosts' | 'tokens'>>;
  readonly config?: OperationMeans['config'];
  /** The answers of the workers. Default: none. */
  readonly statistics?: readonly WorkerStatistics[];
  readonly load?: readonly LoadSummary[];
  /** That of the only worker. */
  readonly tail?: RequestTail;
  /** Opens the store that is watched for events. Default: as every store. */
  readonly openWatched?: (driver: string) => Promise<Store>;
}

export interface ApiResponse {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
  readonly json: Record<string, unknown>;
}

export interface ApiEvent {
  readonly name: string;
  readonly id: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface FollowedEvents {
  /** Those that have come so far. */
  readonly events: ApiEvent[];
  /** Ends the stream. */
  readonly leave: () => void;
}

/** The admin API of this process, on a store. */
export class AdminApi {
  /** As `--admin` takes it. */
  readonly address: string;
  readonly logged: { readonly message: string; readonly fields: LogFields | undefined }[];

  private constructor(address: string, logged: AdminApi['logged']) {
    this.address = address;
    this.logged = logged;
  }

  static async start(test: TestContext, options: ApiOptions = {}): Promise<AdminApi> {
    const folder = mkdtempSync(join(tmpdir(), 'hipache-admin-'));
    const { admin = {}, config = null, driver = `sqlite:${join(folder, 'routes.sqlite')}` } = options;
    const logged: AdminApi['logged'] = [];
    const write = (message: string, fields?: LogFields): void => void logged.push({ message, fields });
    const tail = options.tail ?? new RequestTail({ exchangeEnded: () => {} }, systemClock);
    const performer = new LocalPerformer({
      openStore,
      locate: () => ({ driver: [driver], deadSet: 'auto' }),
      config: () => config,
      now: Date.now,
      instance: {
        explain: async () => [],
        statistics: async () => options.statistics ?? [],
        tail: async (question) => [tail.answer(1, question)],
        load: async () => options.load ?? [],
      },
    });
    const events = new EventFeed({
      performer,
      openWatched: () => options.openWatched?.(driver) ?? openStore([driver], { serving: true, deadSet: false }),
      now: Date.now,
      log: { debug: write, info: write, warn: write, error: write },
    });
    const app = adminApp({
      performer: new CheckingPerformer(performer),
      events,
      dashboard: new StaticFiles(dashboardDirectory(), '/'),
      help: new StaticFiles(siteDirectory(), helpPath),
      access: new AccessControl({
        bind: options.onAddress === true ? '127.0.0.1:0' : 'unix:/',
        hosts: [],
        tokens: [],
        ...admin,
      }),
      isEnding: () => false,
      log: { debug: write, info: write, warn: write, error: write },
    });
    const server = createServer(getRequestListener(app.fetch));
    const path = join(folder, 'admin.sock');
    if (options.onAddress === true) server.listen(0, '127.0.0.1');
    else server.listen(path);
    await once(server, 'listening');
    test.after(async () => {
      server.close();
      events.close();
      server.closeAllConnections();
      await performer.close();
      rmSync(folder, { recursive: true, force: true });
    });
    const { port } = server.address() as AddressInfo;
    return new AdminApi(options.onAddress === true ? `http://127.0.0.1:${port}` : `unix:${path}`, logged);
  }

  /** Follows the events, until the test ends. @throws Error for another status than 200. */
  async follow(test: TestContext, query = '', headers: Readonly<Record<string, string>> = {}): Promise<FollowedEvents> {
    const sent = this.request('GET', `/v1/events${query}`, { ...headers });
    sent.end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    test.after(() => sent.destroy());
    sent.on('error', () => {});
    if (response.statusCode !== 200) throw new Error(`status ${response.statusCode}`);
    const events: ApiEvent[] = [];
    let rest = '';
    response.on('error', () => {});
    response.setEncoding('utf8').on('data', (text: string) => {
      const blocks = (rest + text).split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) {
        const fields = new Map(
          block.split('\n').map((line) => [line.split(':', 1)[0] ?? '', line.replace(/^\w+: ?/, '')]),
        );
        if (!fields.has('event')) continue;
        const data = JSON.parse(fields.get('data') ?? 'null') as ApiEvent['data'];
        const name = fields.get('event') as keyof typeof eventSchemas;
        eventSchemas[name].parse(data);
        events.push({ name, id: fields.get('id') ?? '', data });
      }
    });
    return { events, leave: () => sent.destroy() };
  }

  private request(method: string, path: string, headers: Readonly<Record<string, string>>): ClientRequest {
    const { address } = this;
    const isSocket = address.startsWith('unix:');
    return request(isSocket ? `http://localhost${path}` : `${address}${path}`, {
      method,
      headers,
      ...(isSocket ? { socketPath: address.slice(5) } : {}),
    });
  }

  /** @param body sent as JSON unless it is a text. */
  async ask(
    method: string,
    path: string,
    body: unknown = null,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<ApiResponse> {
    const text = body === null ? '' : typeof body === 'string' ? body : JSON.stringify(body);
    const type = body === null && method !== 'POST' ? {} : { 'content-type': 'application/json' };
    const length = String(Buffer.byteLength(text));
    const sent = this.request(method, path, { ...type, 'content-length': length, ...headers });
    // After the response, an error ends that.
    sent.on('error', () => {});
    sent.end(text);
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    const got = (await response.setEncoding('utf8').toArray()).join('');
    const isJson = /json/.test(response.headers['content-type'] ?? '');
    return {
      status: response.statusCode ?? 0,
      headers: response.headers,
      text: got,
      json: isJson ? (JSON.parse(got) as Record<string, unknown>) : {},
    };
  }
}

/** Finds results and steps that are not as their schemas say, with members that these do not have. */
class CheckingPerformer implements Performer {
  private readonly performer: Performer;

  constructor(performer: Performer) {
    this.performer = performer;
  }

  perform: Performer['perform'] = async (name, input, onStep = () => {}) => {
    const operation = operationOf(name);
    const result = await this.performer.perform(name, input, (step) => {
      requireSame(operation.step?.parse(step), step, `a step of ${name}`);
      onStep(step);
    });
    requireSame(operation.result.parse(result), result, `the result of ${name}`);
    return result;
  };
}

function requireSame(parsed: unknown, found: unknown, what: string): void {
  const [one, other] = [parsed, found].map((value) => JSON.stringify(sorted(value)));
  if (one !== other) throw new Error(`${what} is not as its schema says: ${other}, in the schema ${one}`);
}

/** With the members of objects in one order. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, member]) => member !== undefined);
  return Object.fromEntries(
    entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, member]) => [name, sorted(member)]),
  );
}
