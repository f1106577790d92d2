import { AcmeError } from './acme-error.ts';
import type { RenewalInfo } from './messages.ts';
import type { OrderMeansOfFleet } from './order-means.ts';
import type { OrderState } from './order-state.ts';
import { askAgainAfterMs, renewalTime } from './renewal-plan.ts';

type Issued = NonNullable<OrderState['issued']>;
type Renewal = NonNullable<OrderState['renewal']>;

/**
 * When a certificate is to be renewed. Asks the authority, if that is due.
 * @param known what was decided before; null for nothing.
 */
export async function decideRenewal(
  pattern: string,
  issued: Issued,
  known: Renewal | null,
  means: OrderMeansOfFleet,
): Promise<Renewal> {
  const nowMs = means.clock.epochMs();
  // RFC 9773 section 4.3: an authority is not asked for what has ended.
  if (nowMs >= issued.notAfterMs) return { atMs: 0, askAtMs: null, window: known?.window ?? null };
  if (known !== null && (known.askAtMs === null || nowMs < known.askAtMs)) return known;
  const asked = await ask(pattern, issued, means);
  const window = asked === null ? null : (asked.of ?? known?.window ?? null);
  // A time is drawn once for each window.
  const isSame = known !== null && JSON.stringify(known.window) === JSON.stringify(window);
  const atMs = isSame ? known.atMs : renewalTime(issued, window, means.random());
  return { atMs, askAtMs: asked === null ? null : nowMs + askAgainAfterMs(asked.retryAfterMs), window };
}

/** The authority's word, and when to ask it again; null if it never says any, without a word if it did not now. */
async function ask(
  pattern: string,
  { authority: directory, identifier }: Issued,
  { accounts, authorities, log }: OrderMeansOfFleet,
): Promise<{ readonly of: RenewalInfo | null; readonly retryAfterMs: number | null } | null> {
  const authority = authorities.find((one) => one.directory === directory);
  if (authority === undefined || identifier === null) return null;
  try {
    return await (await accounts.client(authority)).renewalInfo(identifier);
  } catch (error) {
    if (!(error instanceof AcmeError)) throw error;
    log.warn(`${pattern}: the authority does not say when to renew its certificate: ${error.message}`);
    return { of: null, retryAfterMs: error.retryAfterMs };
  }
}
