import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from '../base/node-http.ts';

/** The response to a scrape. */
export interface MetricsText {
  readonly contentType: string;
  readonly text: string;
}

export interface MetricsSource {
  metrics(): Promise<MetricsText>;
  /** Whether every worker serves. */
  isHealthy(): boolean;
  /** The state of a host in every worker. @param question as `hipache explain --live` sends it. */
  explain(question: unknown): Promise<readonly unknown[]>;
}

const connectionsMax = 64;

/** Serves `GET /metrics` and `GET /healthz` for monitoring. It runs in the primary, apart from the traffic. */
export class MetricsServer {
  private readonly server: Server;
  /** Concurrent scrapes share one response. */
  private scrape: Promise<MetricsText> | null = null;

  constructor(source: MetricsSource) {
    this.server = createServer({ requestTimeout: 10_000, keepAliveTimeout: 5000 }, (request, response) => {
      request.resume();
      this.response(source, request, response).catch(() => response.destroy());
    });
    this.server.maxConnections = connectionsMax;
  }

  /**
   * @param bound Node's handle of a bound socket. It belongs to this server from now on.
   * @throws a system error if it cannot listen.
   */
  async listen(bound: object): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(bound, resolve);
    });
    this.server.on('error', () => {});
  }

  close(): void {
    this.server.close();
    this.server.closeAllConnections();
  }

  private async response(source: MetricsSource, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [path] = (request.url ?? '').split('?');
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      end(response, 405, 'only GET\n');
    } else if (path === '/metrics') {
      this.scrape ??= source.metrics().finally(() => {
        this.scrape = null;
      });
      const { contentType, text } = await this.scrape;
      response.setHeader('content-type', contentType);
      response.end(text);
    } else if (path === '/healthz') {
      const isHealthy = source.isHealthy();
      end(response, isHealthy ? 200 : 503, isHealthy ? 'ok\n' : 'not every worker serves\n');
    } else if (path === '/explain') {
      const question = questionOf(request.url ?? '');
      if (question === null) end(response, 400, 'the question is not one of "hipache explain --live"\n');
      else response.setHeader('content-type', 'application/json').end(JSON.stringify(await source.explain(question)));
    } else {
      end(response, 404, 'only /metrics, /healthz and /explain exist\n');
    }
  }
}

/** The parameter `question`: an object in JSON; null if it is none. */
function questionOf(url: string): object | null {
  try {
    const question: unknown = JSON.parse(new URL(url, 'http://localhost').searchParams.get('question') ?? '');
    return typeof question === 'object' ? question : null;
  } catch {
    return null;
  }
}

function end(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(text);
}
