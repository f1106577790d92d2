import type { RenewalInfo } from './messages.ts';

/** From when to when a certificate is valid, in epoch ms. */
export interface Validity {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** Without a word of the authority: the part of its life after which a certificate is renewed, and how far that is spread. */
const renewAfterPart = 2 / 3;
const spreadPart = 0.05;
/** The last part of its life is for emergencies. No authority can delay a renewal into it. */
const emergencyPart = 1 / 10;

/**
 * When to renew a certificate, in epoch ms. Drawn once and kept, so that certificates that were ordered together are not
 * renewed together.
 * @param info of the authority (RFC 9773 section 4.2): a random time in its window; null without it: two thirds of the life.
 * @param random from 0 up to but not including 1.
 */
export function renewalTime({ notBeforeMs, notAfterMs }: Validity, info: RenewalInfo | null, random: number): number {
  const lifeMs = Math.max(0, notAfterMs - notBeforeMs);
  const latestMs = notAfterMs - lifeMs * emergencyPart;
  const [startMs, endMs] =
    info === null
      ? [renewAfterPart - spreadPart, renewAfterPart].map((part) => notBeforeMs + lifeMs * part)
      : [info.startMs, info.endMs];
  return Math.round(Math.min((startMs as number) + ((endMs as number) - (startMs as number)) * random, latestMs));
}

/** Bounds of the time between two questions about renewal, in ms (RFC 9773 section 4.3.2), and the time without a word. */
const askAgainMs = { shortest: 60_000, usual: 6 * 3600_000, longest: 24 * 3600_000 };

/** In how many ms to ask an authority again when a certificate is to be renewed. @param retryAfterMs as it says; null: it does not. */
export function askAgainAfterMs(retryAfterMs: number | null): number {
  return Math.min(Math.max(retryAfterMs ?? askAgainMs.usual, askAgainMs.shortest), askAgainMs.longest);
}
