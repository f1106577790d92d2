import { endpoints, isInQuery, pathFields, versionField } from '../../src/admin/endpoints.ts';
import type { InputOf, OperationName, ResultOf } from '../../src/operations/catalogue.ts';

/** A response of the API that is an error, or none at all. */
export class ApiFailure extends Error {
  /** 0 without a response. */
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, detail: string) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

const tokenKey = 'hipache-token';

/** Does operations through the API that this page comes from. */
export class Client {
  /** Called when the API does not take the token. */
  onUnauthorized: (detail: string) => void = () => {};
  private token = sessionStorage.getItem(tokenKey);

  get hasToken(): boolean {
    return this.token !== null;
  }

  /** Kept until the tab is closed. */
  signIn(token: string): void {
    this.token = token;
    sessionStorage.setItem(tokenKey, token);
  }

  signOut(): void {
    this.token = null;
    sessionStorage.removeItem(tokenKey);
  }

  /** @throws ApiFailure. */
  async perform<Name extends OperationName>(name: Name, input: InputOf<Name>): Promise<ResultOf<Name>> {
    const endpoint = endpoints[name];
    const fields: Record<string, unknown> = { ...input };
    const headers: Record<string, string> = {};
    let { path } = endpoint;
    for (const field of pathFields(endpoint)) {
      path = path.replace(`{${field}}`, encodeURIComponent(String(fields[field])));
      delete fields[field];
    }
    const version = fields[versionField];
    delete fields[versionField];
    if (version === 'none') headers['if-none-match'] = '*';
    else if (typeof version === 'string') headers['if-match'] = `"${version}"`;
    let body: string | null = null;
    if (isInQuery(endpoint)) path += queryOf(fields);
    else {
      body = JSON.stringify(fields);
      headers['content-type'] = 'application/json';
    }
    const response = await this.fetch(path, { method: endpoint.method, headers, body });
    return (await response.json()) as ResultOf<Name>;
  }

  /** @throws ApiFailure for any other status than 200. */
  async fetch(
    path: string,
    { headers = {}, ...init }: RequestInit & { headers?: Record<string, string> },
  ): Promise<Response> {
    const authorization = this.token === null ? {} : { authorization: `Bearer ${this.token}` };
    let response: Response;
    try {
      // Without the slash: the API may be below a path.
      response = await fetch(path.slice(1), {
        ...init,
        headers: { ...headers, ...authorization },
        credentials: 'same-origin',
      });
    } catch (error) {
      if (init.signal?.aborted === true) throw error;
      throw new ApiFailure(0, 'UNREACHABLE', 'The instance does not respond.');
    }
    if (response.ok) return response;
    const { code = 'UNKNOWN', detail = `status ${response.status}` } = await problemOf(response);
    if (response.status === 401) this.onUnauthorized(detail);
    throw new ApiFailure(response.status, code, detail);
  }
}

async function problemOf(response: Response): Promise<{ readonly code?: string; readonly detail?: string }> {
  try {
    return (await response.json()) as { code?: string; detail?: string };
  } catch {
    return {};
  }
}

function queryOf(fields: Readonly<Record<string, unknown>>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined || value === null || value === '') continue;
    for (const one of Array.isArray(value) ? value : [value]) query.append(name, String(one));
  }
  return query.size === 0 ? '' : `?${query}`;
}
