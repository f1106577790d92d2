import type { Clock } from '../base/clock.ts';
import type { ErrorCode } from '../base/errors.ts';
import { type ErrorPage, urlOf } from '../policy/error-page.ts';
import type { HostPolicy } from '../policy/host-policy.ts';
import { type PageSubject, PageTemplate } from '../policy/page-template.ts';
import type { WebFetch, WebResponse } from '../policy/web-fetch.ts';
import type { DataPlaneParts } from './context.ts';
import type { LocalReply, ReplyPage } from './local-reply.ts';

/** Largest page, in bytes. */
const pageBytesMax = 65_536;
const fetchTimeoutMs = 5000;
/** How long a page counts as current, and when a failed fetch is tried again, in ms. */
const freshMs = 60_000;
const retryMs = 5000;
/** Pages that are kept, and fetches at a time. */
const pagesMax = 1000;
const fetchesMax = 50;
/** The same of one server. */
const fetchesPerServerMax = 5;

/** The exchange whose reply gets a page. */
interface RepliedExchange {
  readonly frontend: object | null;
  readonly policy: HostPolicy;
  readonly host: string;
  readonly requestId: string;
}

interface KeptPage {
  /** Null if it could not be fetched yet. */
  readonly page: { readonly template: PageTemplate; readonly contentType: string } | null;
  /** Monotonic ms. */
  readonly freshUntilMs: number;
}

/**
 * The pages of hosts for local error replies (option `errorPage`). One from a URL is fetched when a reply needs it and kept;
 * no reply waits for that. Until it has come, and while it cannot be fetched, the last one serves, or that of the instance.
 */
export class HostPages {
  private readonly fetch: WebFetch;
  private readonly clock: Pick<Clock, 'monotonicMs'>;
  private readonly parts: Pick<DataPlaneParts, 'onWarning' | 'routes' | 'version'>;
  /** By URL, least recently used first. */
  private readonly kept = new Map<string, KeptPage>();
  private readonly fetching = new Set<string>();

  constructor(parts: Pick<DataPlaneParts, 'clock' | 'fetch' | 'onWarning' | 'routes' | 'version'>) {
    this.fetch = parts.fetch;
    this.clock = parts.clock;
    this.parts = parts;
  }

  /** The reply with the page of its host, if it has one. @param code null: the reply is no error, and gets no page. */
  with(reply: LocalReply, code: ErrorCode | null, exchange: RepliedExchange): LocalReply {
    if (code === null) return reply;
    const errorPage = this.errorPageOf(exchange);
    if (errorPage === null) return reply;
    const { host, requestId } = exchange;
    const page = this.page(errorPage, { status: reply.status, code, host, requestId });
    return page === null ? reply : { ...reply, page };
  }

  private errorPageOf({ frontend, host, policy }: RepliedExchange): ErrorPage | null {
    if (frontend !== null) return policy.errorPage;
    return this.parts.routes.policyWithoutRoute(host === '' ? '*' : host)?.errorPage ?? policy.errorPage;
  }

  private page(errorPage: ErrorPage, subject: PageSubject): ReplyPage | null {
    if ('template' in errorPage)
      return { contentType: 'text/html; charset=utf-8', body: errorPage.template.fill(subject) };
    const url = urlOf(errorPage.url, subject.status, subject.code);
    const kept = this.kept.get(url);
    if (kept === undefined || this.clock.monotonicMs() >= kept.freshUntilMs) this.refresh(url);
    if (kept === undefined) return null;
    this.keep(url, kept);
    return kept.page && { contentType: kept.page.contentType, body: kept.page.template.fill(subject) };
  }

  private refresh(url: string): void {
    if (this.fetching.has(url) || this.fetching.size >= fetchesMax || this.isBusy(url)) return;
    this.fetching.add(url);
    const fields = ['Accept', 'text/html', 'User-Agent', `hipache/${this.parts.version}`, 'CDN-Loop', 'hipache'];
    this.fetch({ url, fields, timeoutMs: fetchTimeoutMs, bodyBytesMax: pageBytesMax })
      .then((response) => this.keepFor(freshMs, url, readPage(response)))
      .catch((error: Error) => {
        this.keepFor(retryMs, url, this.kept.get(url)?.page ?? null);
        const fields = { url: url.replace(/\?.*/s, ''), problem: error.message };
        this.parts.onWarning('an error page of a host cannot be fetched', fields);
      })
      .finally(() => this.fetching.delete(url));
  }

  /** Whether the server of a page is asked for as many as it may be: a slow one must not keep away the pages of others. */
  private isBusy(url: string): boolean {
    const { origin } = new URL(url);
    let busy = 0;
    for (const other of this.fetching) if (new URL(other).origin === origin) busy++;
    return busy >= fetchesPerServerMax;
  }

  private keepFor(forMs: number, url: string, page: KeptPage['page']): void {
    this.keep(url, { page, freshUntilMs: this.clock.monotonicMs() + forMs });
    const [oldest] = this.kept.keys();
    if (this.kept.size > pagesMax && oldest !== undefined) this.kept.delete(oldest);
  }

  private keep(url: string, page: KeptPage): void {
    this.kept.delete(url);
    this.kept.set(url, page);
  }
}

/** @throws Error that says why the response is no page. */
function readPage({ body, fields, status }: WebResponse): KeptPage['page'] {
  if (status !== 200) throw new Error(`its server responds with ${status}`);
  const coding = fieldValue(fields, 'content-encoding');
  if (coding !== '' && coding !== 'identity') throw new Error('it is compressed');
  const type = fieldValue(fields, 'content-type');
  if (!/^text\/html[ \t]*(?:;|$)/i.test(type)) throw new Error('it is not text/html');
  const [, charset] = /;[ \t]*charset="?([\w-]{1,40})"?/i.exec(type) ?? [];
  return {
    template: new PageTemplate(body),
    contentType: charset === undefined ? 'text/html' : `text/html; charset=${charset}`,
  };
}

/** The value of the first field with this name, in lower case; empty for none. */
function fieldValue(fields: readonly string[], name: string): string {
  const at = fields.findIndex((field, index) => index % 2 === 0 && field.toLowerCase() === name);
  return at < 0 ? '' : (fields[at + 1] ?? '');
}
