import { Agent, type IncomingHttpHeaders, request } from 'node:http';

export interface ClientResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface AskOptions {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** Sends a request for `host` to the proxy on `port`, on a new connection. @throws if the response is incomplete. */
export function ask(port: number, host: string, options: AskOptions = {}): Promise<ClientResponse> {
  const { method = 'GET', path = '/', headers = {}, body } = options;
  return new Promise((resolve, reject) => {
    const agent = new Agent({ keepAlive: false });
    const asked = request(
      { host: '127.0.0.1', port, method, path, agent, headers: { host, ...headers } },
      (response) => {
        let text = '';
        response.setEncoding('latin1');
        response.on('data', (data: string) => {
          text += data;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
        response.on('error', reject);
      },
    );
    asked.on('error', reject);
    asked.end(body);
  });
}
