import { createHash } from 'node:crypto';
import { networkOf } from '../base/client-network.ts';
import { FieldLines } from '../http/field-lines.ts';
import { namedValue } from '../http/message.ts';
import { hostPatternOf } from '../routing/patterns.ts';
import type { AdmissionRule, AskedRequest, Refusal } from './admission.ts';
import type { OptionType } from './option-type.ts';

/** The part of a request by which it counts. */
export type RateSource =
  | { readonly kind: 'client' }
  | { readonly kind: 'host' }
  /** `name` in lower case. */
  | { readonly kind: 'header'; readonly name: string };

/** Where requests get tokens from: `limits/` implements it. */
export interface TokenSource {
  /** Takes a token. @returns 0, or in how many ms there will be one. */
  take(key: string, rate: { readonly perSecond: number; readonly burst: number }): number;
  /** How many tokens there are now; below 0 if other processes have taken the last ones. */
  left(key: string, rate: { readonly perSecond: number; readonly burst: number }): number;
}

/** The part of a request that says by which key it counts. */
type CountedRequest = Pick<AskedRequest, 'clientAddress' | 'request'>;

/** Longest value that is a key itself, in characters: of two tokens, the beginning may be the same. */
const keyCharsMax = 64;
const secondsOf: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600 };
const requestsMax = 1_000_000;

/** Requests in a time; the value is per second. */
export const requestRate: OptionType<number> = {
  allowed: `a number of requests from 1 to ${requestsMax} in a time: 100/s, 600/m or 5000/h`,
  parse(text) {
    const [, count = '', unit = ''] = /^([1-9]\d{0,6})\/(s|m|h)$/.exec(text) ?? [];
    const requests = Number(count);
    return requests >= 1 && requests <= requestsMax ? requests / (secondsOf[unit] as number) : undefined;
  },
};

export const rateSource: OptionType<RateSource> = {
  allowed: 'client, host or header:NAME',
  parse(text) {
    if (text === 'client' || text === 'host') return { kind: text };
    const [, name] = /^header:([!#$%&'*+.^_`|~0-9A-Za-z-]{1,64})$/.exec(text) ?? [];
    return name === undefined ? undefined : { kind: 'header', name: name.toLowerCase() };
  },
};

/** Refuses requests beyond a rate. */
export class RateLimit implements AdmissionRule {
  private readonly rate: { readonly perSecond: number; readonly burst: number };
  private readonly by: RateSource;
  private readonly tokens: TokenSource;

  /** @param burst how many may come at once after a pause; null: as many as in one second. */
  constructor(perSecond: number, burst: number | null, by: RateSource, tokens: TokenSource) {
    this.rate = { perSecond, burst: burst ?? Math.max(1, perSecond) };
    this.by = by;
    this.tokens = tokens;
  }

  refuse(asked: AskedRequest): Refusal | null {
    if (asked.hasToken) return null;
    const waitMs = this.tokens.take(this.keyOf(asked.pattern, asked), this.rate);
    asked.hasToken = waitMs === 0;
    if (asked.hasToken) return null;
    const fields = new FieldLines();
    fields.add('retry-after', String(Math.ceil(waitMs / 1000)));
    return { code: 'RATE_LIMITED', status: 429, detail: '', fields };
  }

  /** How many requests may come at once now. */
  left(pattern: string, request: CountedRequest): number {
    return Math.floor(this.tokens.left(this.keyOf(pattern, request), this.rate));
  }

  /** A request without the header counts by the address of its client. */
  private keyOf(pattern: string, { clientAddress, request }: CountedRequest): string {
    const { by } = this;
    // Prefixes of its paths that inherit the rate count with the host: one with another rate has another bucket.
    const { perSecond, burst } = this.rate;
    const of = `${hostPatternOf(pattern)} ${perSecond} ${burst}`;
    if (by.kind === 'host') return of;
    const value = by.kind === 'header' ? namedValue(request, by.name) : null;
    // A client cannot take another one's key: a blank is in none of the three parts.
    if (value !== null) return `${of} header ${value.length > keyCharsMax ? digestOf(value) : value}`;
    return `${of} ${networkOf(clientAddress)}`;
  }
}

function digestOf(value: string): string {
  return createHash('sha256').update(value).digest('base64');
}
