import { z } from 'zod';
import { backOffMs } from '../base/back-off.ts';
import type { NoteTexts } from '../stores/contract.ts';
import { noteName } from '../stores/note-name.ts';
import type { AcmeError } from './acme-error.ts';
import { jsonOf } from './messages.ts';
import { registeredDomain } from './registered-domain.ts';

/** Why something cannot be done now, and until when. */
export interface Refused {
  readonly why: string;
  /** Epoch ms. */
  readonly untilMs: number;
}

const heldSchema = z.object({ untilMs: z.number(), why: z.string() });
const authoritySchema = heldSchema.extend({
  /** The domain that was limited last; empty if the limit was none of a domain. */
  domain: z.string(),
  /** Limits in a row, of different domains. */
  count: z.number(),
});

/**
 * Pauses for all names at an authority that limits one domain after the other, in ms. It does not say whether a limit is that of
 * a domain or of the account, and a limit of one domain may last a week.
 */
const pauses = { firstMs: 60_000, longestMs: 3600_000 } as const;
const countMax = 20;
/** How long it is remembered that domains were limited one after the other, in ms. */
const rememberedMs = 3600_000;
/** Without a word of the authority how long its limit lasts, in ms. */
const usualMs = 60_000;

/**
 * The limits that authorities have made known (RFC 8555 section 6.6), in the store: the whole fleet obeys them. A limit holds for
 * the registered domain of the name that was asked for. If another domain is limited too, all names wait, for a time that
 * grows; so they do if an authority says that it is not available (503), or limits what has to do with no name.
 */
export class AuthorityLimits {
  private readonly notes: NoteTexts;
  private readonly epochMs: () => number;

  constructor(notes: NoteTexts, epochMs: () => number) {
    this.notes = notes;
    this.epochMs = epochMs;
  }

  /**
   * Why an authority must not be asked now; null if it may.
   * @param pattern null for what has to do with no new order.
   */
  async find(directory: string, pattern: string | null): Promise<Refused | null> {
    const held = readHeld(await this.notes.read(authorityNote(directory)));
    const ofDomain = pattern === null ? null : readHeld(await this.notes.read(domainNote(directory, pattern)));
    const latest = [held, ofDomain].filter((one) => one !== null).toSorted((a, b) => b.untilMs - a.untilMs)[0];
    return latest !== undefined && latest.untilMs > this.epochMs() ? latest : null;
  }

  /** An authority has refused something. @param pattern of the order; null if the request had to do with no name. */
  async refused(directory: string, pattern: string | null, error: AcmeError): Promise<void> {
    const { message, retryAfterMs, status } = error;
    const isLimit = error.type === 'rateLimited' || status === 429;
    if (!isLimit && (status !== 503 || retryAfterMs === null)) return;
    const nowMs = this.epochMs();
    const limitMs = retryAfterMs ?? usualMs;
    if (limitMs <= 0) return;
    const why = `${directory} wants no such requests until ${new Date(nowMs + limitMs).toISOString()}: ${message}`;
    if (!isLimit || pattern === null) {
      await this.holdAll(directory, { untilMs: nowMs + limitMs, why, domain: '', count: 0 });
      return;
    }
    const held = { untilMs: nowMs + limitMs, why };
    await this.notes.write(domainNote(directory, pattern), JSON.stringify(held), { ttlMs: limitMs });
    const domain = registeredDomain(pattern);
    const before = authoritySchema.safeParse(jsonOf((await this.notes.read(authorityNote(directory))) ?? '')).data;
    if (before === undefined || before.domain === domain) {
      if (before === undefined) await this.holdAll(directory, { untilMs: nowMs, why, domain, count: 0 });
      return;
    }
    const count = Math.min(before.count + 1, countMax);
    const untilMs = Math.max(before.untilMs, nowMs + Math.min(limitMs, backOffMs(pauses, count)));
    await this.holdAll(directory, { untilMs, why, domain, count });
  }

  /** An authority has begun an order: it limits not everybody. */
  async served(directory: string): Promise<void> {
    const name = authorityNote(directory);
    if ((await this.notes.read(name)) !== null) await this.notes.write(name, null);
  }

  /** Writes of two processes at once are of the same kind: the last one wins. */
  private async holdAll(directory: string, held: z.infer<typeof authoritySchema>): Promise<void> {
    const ttlMs = Math.max(held.untilMs - this.epochMs(), 0) + rememberedMs;
    await this.notes.write(authorityNote(directory), JSON.stringify(held), { ttlMs });
  }
}

function readHeld(text: string | null): Refused | null {
  return text === null ? null : (heldSchema.safeParse(jsonOf(text)).data ?? null);
}

function authorityNote(directory: string): string {
  return noteName('acme-limit', directory);
}

function domainNote(directory: string, pattern: string): string {
  return noteName('acme-limit', `${registeredDomain(pattern)} ${directory}`);
}
