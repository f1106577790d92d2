import type { TestContext } from 'node:test';
import { Http2Client } from './http2-client.ts';
import { RawBackend } from './raw-backend.ts';
import { RawClient } from './raw-client.ts';
import { TestProxy, type TestProxyParts, type TestSettings } from './test-proxy.ts';
import { until } from './until.ts';

export interface RigOptions extends TestProxyParts {
  readonly settings?: Partial<TestSettings>;
  /** Raw backends of the host `a.test`; default 1. */
  readonly backends?: number;
  /** Whether every connection begins with a PROXY protocol header. */
  readonly proxyProtocol?: boolean;
  /** Whether a client that has only closed its sending side still gets its response. */
  readonly halfClose?: boolean;
  /** Default: HTTP/1.1. */
  readonly protocols?: readonly string[];
}

/** A proxy with the host `a.test` on raw backends, and its clients: the basis of most data plane tests. */
export class Rig {
  readonly proxy: TestProxy;
  readonly backends: readonly RawBackend[];
  private readonly clients: RawClient[] = [];

  private constructor(proxy: TestProxy, backends: readonly RawBackend[]) {
    this.proxy = proxy;
    this.backends = backends;
  }

  /** Starts one. It is stopped at the end of the test, which fails if anything is still in progress. */
  static async start(test: TestContext, options: RigOptions = {}): Promise<Rig> {
    const backends: RawBackend[] = [];
    for (let count = options.backends ?? 1; count > 0; count--) backends.push(await RawBackend.start());
    const proxy = new TestProxy(options.settings, options);
    const urls = backends.map(({ url }) => url);
    proxy.route('a.test', urls);
    await proxy.listen(options);
    const rig = new Rig(proxy, backends);
    test.after(() => rig.stop());
    return rig;
  }

  get backend(): RawBackend {
    return this.backends[0] as RawBackend;
  }

  async client(): Promise<RawClient> {
    const client = await RawClient.connect(this.proxy.port);
    this.clients.push(client);
    return client;
  }

  /** A client of HTTP/2, which has sent its settings. */
  async http2(): Promise<Http2Client> {
    return new Http2Client(await this.client());
  }

  /** A client that has sent `text`. */
  async send(text: string): Promise<RawClient> {
    const client = await this.client();
    client.send(text);
    return client;
  }

  /** What a request gets, with the head of its response, once the exchange has ended. */
  async ask(text: string): Promise<string> {
    const before = this.proxy.ended.length;
    const client = await this.send(text);
    await client.expect(/\r\n\r\n/);
    await until('the end of the exchange', () => this.proxy.ended.length > before);
    client.close();
    return client.received;
  }

  private async stop(): Promise<void> {
    for (const client of this.clients) client.close();
    try {
      await this.proxy.stop();
    } finally {
      for (const backend of this.backends) await backend.stop();
    }
    if (this.proxy.problems.length > 0) throw new Error(`the proxy complained: ${this.proxy.problems.join('; ')}`);
  }
}

/** A complete request for `a.test`, with these additional field lines. */
export function get(path = '/', ...lines: readonly string[]): string {
  return request(`GET ${path} HTTP/1.1`, ...lines);
}

/** A head for `a.test` with this start line and these additional field lines. */
export function request(startLine: string, ...lines: readonly string[]): string {
  return `${[startLine, 'Host: a.test', ...lines].join('\r\n')}\r\n\r\n`;
}

/** Without the Date that the proxy adds to responses that have none. */
export function undated(text: string): string {
  return text.replace(/^Date: .*\r\n/gm, '');
}

/** A complete response with a length. */
export function response(body: string, status = '200 OK', ...lines: readonly string[]): string {
  return `${[`HTTP/1.1 ${status}`, `Content-Length: ${body.length}`, ...lines].join('\r\n')}\r\n\r\n${body}`;
}
