import type { Backend } from './backend.ts';
import { groupOf } from './canary.ts';
import { hasFree } from './choice.ts';
import type { Frontend } from './frontend.ts';
import type { Asked, Selector } from './selector.ts';
import type { StickyCookie } from './sticky-cookie.ts';

/** The backend that a request would get, and why. */
export interface ExplainedChoice {
  /** Null if it is not certain which one, or if there is none. */
  readonly url: string | null;
  /** For people: it follows "chosen". */
  readonly by: string;
}

/** Why a request waits for a backend. */
export interface ExplainedHold {
  /** For people: it follows "waits". */
  readonly because: string;
  /** How long it waits at most, in ms. */
  readonly forMs: number;
}

/** @param hold null if requests do not wait. @returns null if this one does not. */
export function explainHold(
  frontend: Frontend,
  { hold, isPaused }: { readonly hold: { readonly forMs: number } | null; readonly isPaused: boolean },
  nowMs: number,
): ExplainedHold | null {
  if (hold === null) return null;
  if (isPaused) return { because: 'because the host is paused', forMs: hold.forMs };
  return hasFree(frontend, nowMs) ? null : { because: 'because no backend is there', forMs: hold.forMs };
}

/** Explains a choice without making it: no turn is used up. */
export function explainChoice(
  frontend: Frontend,
  { selector, sticky }: { readonly selector: Selector; readonly sticky: StickyCookie | null },
  asked: Asked,
  nowMs: number,
): ExplainedChoice {
  const { canary } = frontend;
  const group = canary === null ? frontend : groupOf(frontend, canary, asked, true, sticky, nowMs);
  const copy = { ...group, balancing: null };
  const where =
    canary === null ? '' : group === canary ? `in the canary of ${canary.share} %, ` : 'outside of the canary, ';
  const backend: Backend | null = selector.choose(copy, asked, null, nowMs);
  if (backend === null) return { url: null, by: `${where}nobody: there is no backend` };
  if (group.backends.length === 1) return { url: backend.url, by: `${where}because it is the only one` };
  const named = sticky?.backendOf(copy, asked.request) ?? null;
  if (named === backend) return { url: backend.url, by: `${where}by its cookie` };
  return { url: selector.isRepeatable ? backend.url : null, by: where + selector.by };
}
