import type { WebFetch, WebRequest, WebResponse } from './web-fetch.ts';

/** Subrequests under way, for one route and for the worker. */
const perRouteMax = 200;
const perWorkerMax = 2000;

/** The way to the auth servers of all hosts of a worker. It limits how many requests wait for them. */
export class AuthServers {
  private readonly fetch: WebFetch;
  private readonly underWay = new Map<string, number>();
  private total = 0;

  constructor(fetch: WebFetch) {
    this.fetch = fetch;
  }

  /** Why the route may not have another subrequest now; empty if it may. @param pattern of the route. */
  whyNot(pattern: string): string {
    const count = this.underWay.get(pattern) ?? 0;
    if (count >= perRouteMax) return `${count} requests of the host wait for its auth server`;
    return this.total >= perWorkerMax ? `${this.total} requests wait for auth servers` : '';
  }

  /** Sends a subrequest for a route that may have one. Rejects as `WebFetch` does. */
  async ask(pattern: string, request: WebRequest): Promise<WebResponse> {
    this.total++;
    this.underWay.set(pattern, (this.underWay.get(pattern) ?? 0) + 1);
    try {
      return await this.fetch(request);
    } finally {
      this.total--;
      const left = (this.underWay.get(pattern) ?? 1) - 1;
      if (left === 0) this.underWay.delete(pattern);
      else this.underWay.set(pattern, left);
    }
  }
}
