import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** One exchange as it is planned: both ends know it by its number. */
interface Plan {
  readonly id: number;
  readonly method: 'GET' | 'HEAD' | 'POST';
  readonly body: string;
  readonly hasLength: boolean;
  readonly trailers: boolean;
  readonly response: string;
  readonly responseHasLength: boolean;
  /** Pieces of the body after which the client resets the stream; -1 for behind the response's head, null for never. */
  readonly resetsAfter: number | null;
}

/** A backend of Node's own HTTP/1.1 that responds as planned, and keeps what it got. */
export class PlannedBackend {
  readonly plans = new Map<number, Plan>();
  /** Problems with what it got. */
  readonly problems: string[] = [];
  whole = 0;
  private readonly server: Server;

  private constructor() {
    this.server = createServer((request, response) => this.serve(request, response));
  }

  static async start(): Promise<PlannedBackend> {
    const backend = new PlannedBackend();
    await new Promise<void>((resolve) => backend.server.listen(0, '127.0.0.1', resolve));
    return backend;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.server.closeAllConnections();
    this.server.close();
  }

  private serve(request: IncomingMessage, response: ServerResponse): void {
    const plan = this.plans.get(Number(request.headers['x-id']));
    let body = '';
    request.setEncoding('latin1').on('data', (text: string) => {
      body += text;
    });
    for (const side of [request, response]) side.on('error', () => {});
    request.on('end', () => {
      this.whole++;
      if (plan === undefined || !isPlanned(request, body, plan))
        this.problems.push(`of ${plan?.id}: ${body.length} bytes`);
      if (plan !== undefined) respond(response, plan);
    });
  }
}

function isPlanned({ method, trailers }: IncomingMessage, body: string, plan: Plan): boolean {
  if (method !== plan.method) return false;
  // Node's client ends a stream before it resets it.
  if (plan.resetsAfter !== null && !plan.hasLength && plan.body.startsWith(body)) return true;
  return body === plan.body && trailers['x-sum'] === (plan.trailers ? String(body.length) : undefined);
}

function respond(response: ServerResponse, plan: Plan): void {
  response.setHeader('x-id', plan.id);
  if (plan.responseHasLength) response.setHeader('content-length', plan.response.length);
  const middle = Math.floor(plan.response.length / 2);
  response.write(plan.response.slice(0, middle), 'latin1');
  if (!plan.responseHasLength) response.addTrailers({ 'x-sum': String(plan.response.length) });
  response.end(plan.response.slice(middle), 'latin1');
}

/** Makes exchanges on connections of Node's own client of HTTP/2. */
export class PlannedClients {
  /** Exchanges that were as planned, and those that were reset. */
  checked = 0;
  reset = 0;
  private readonly backend: PlannedBackend;
  private readonly port: number;
  private begun = 0;

  constructor(backend: PlannedBackend, port: number) {
    this.backend = backend;
    this.port = port;
  }

  /** One connection with some exchanges. @throws if one is not as planned. */
  async converse(random: () => number): Promise<void> {
    const below = (bound: number): number => Math.floor(random() * bound);
    const session = connect(`http://127.0.0.1:${this.port}`, {
      settings: {
        initialWindowSize: [100, 10_000, 65_535, 1_000_000][below(4)] as number,
        headerTableSize: [0, 100, 4096, 65_536][below(4)] as number,
        maxFrameSize: [16_384, 65_536, 1_000_000][below(3)] as number,
      },
    });
    session.on('error', () => {});
    await once(session, 'connect');
    const exchanges: Promise<void>[] = [];
    const failures: Error[] = [];
    const fail = (error: Error): void => void failures.push(error);
    for (let count = 1 + below(8); count > 0; count--) {
      exchanges.push(this.exchange(session, this.plan(random), random).catch(fail));
      if (below(3) === 0) await nextTurn();
      if (below(8) === 0) session.settings({ initialWindowSize: 50 + below(100_000) });
      if (below(8) === 0) session.setLocalWindowSize(65_535 + below(1_000_000));
      if (below(8) === 0) session.ping(() => {});
    }
    await Promise.all(exchanges);
    session.destroy();
    if (failures[0] !== undefined) throw failures[0];
  }

  private plan(random: () => number): Plan {
    const below = (bound: number): number => Math.floor(random() * bound);
    const id = this.begun++;
    const text = (): string => `${id}.`.repeat(Math.floor(random() ** 5 * 40_000));
    const method = (['GET', 'HEAD', 'POST', 'POST'] as const)[below(4)] as Plan['method'];
    const hasLength = below(2) === 0;
    const plan: Plan = {
      id,
      method,
      body: method === 'POST' ? text() : '',
      hasLength: method === 'POST' && hasLength,
      // A message with a length has none in HTTP/1.1.
      trailers: method === 'POST' && !hasLength && below(2) === 0,
      response: text(),
      responseHasLength: below(2) === 0,
      resetsAfter: below(8) === 0 ? below(4) - 1 : null,
    };
    this.backend.plans.set(id, plan);
    return plan;
  }

  private async exchange(session: ClientHttp2Session, plan: Plan, random: () => number): Promise<void> {
    const { body, hasLength, id, method, resetsAfter, trailers } = plan;
    const fields = {
      ':method': method,
      ':path': `/${id}`,
      ':authority': 'a.test',
      'x-id': String(id),
      ...(hasLength ? { 'content-length': String(body.length) } : {}),
    };
    const stream = session.request(fields, { endStream: method !== 'POST', waitForTrailers: trailers });
    const steps = [this.response(stream, plan, random)];
    if (trailers) stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': String(body.length) }));
    if (method === 'POST') steps.push(upload(stream, plan, random));
    else if (resetsAfter !== null && resetsAfter >= 0) stream.close(8);
    await Promise.all(steps);
  }

  /** Awaits the end of the stream. */
  private response(stream: ClientHttp2Stream, plan: Plan, random: () => number): Promise<void> {
    const { id, method, resetsAfter, response, responseHasLength } = plan;
    let got = '';
    let status = 0;
    let owner: unknown;
    let sum: unknown;
    stream.setEncoding('latin1');
    stream.on('response', (fields) => {
      status = Number(fields[':status']);
      owner = fields['x-id'];
      if (resetsAfter === -1) stream.close(8);
    });
    stream.on('data', (text: string) => {
      got += text;
      if (random() >= 0.05) return;
      stream.pause();
      setImmediate(() => stream.resume());
    });
    stream.on('trailers', (fields) => {
      sum = fields['x-sum'];
    });
    let failure = '';
    stream.on('error', (error: Error) => {
      failure = error.message;
    });
    return new Promise((resolve, reject) => {
      stream.on('close', () => {
        const wanted = method === 'HEAD' ? '' : response;
        const wantsSum = !responseHasLength && method !== 'HEAD';
        if (resetsAfter !== null && status === 0) this.reset++;
        else if (status !== 200 || Number(owner) !== id) reject(new Error(`${id}: ${status} of ${owner} ${failure}`));
        else if (resetsAfter !== null && wanted.startsWith(got)) this.reset++;
        else if (got !== wanted || failure !== '') reject(new Error(`${id}: ${got.length} bytes: ${failure}`));
        else if (wantsSum && sum !== String(response.length)) reject(new Error(`${id}: trailers ${sum}`));
        else {
          this.checked++;
          resolve();
          return;
        }
        resolve();
      });
    });
  }
}

/** Sends the body in pieces, or a part of it. */
async function upload(stream: ClientHttp2Stream, { body, resetsAfter }: Plan, random: () => number): Promise<void> {
  let at = 0;
  for (let piece = 0; at < body.length && !stream.destroyed; piece++) {
    if (piece === resetsAfter) break;
    const end = at + 1 + Math.floor(random() * 20_000);
    stream.write(body.slice(at, end), 'latin1');
    at = end;
    if (random() < 0.3) await nextTurn();
  }
  if (resetsAfter !== null && resetsAfter >= 0) stream.close(8);
  else stream.end();
}
