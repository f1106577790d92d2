import { ByHash } from '../routing/by-hash.ts';
import { AtRandom, LeastRequests, RoundRobin } from '../routing/plain-selectors.ts';
import { type Selector, TwoRandomChoices } from '../routing/selector.ts';
import { ByCookie, StickyCookie } from '../routing/sticky-cookie.ts';
import type { OptionValues } from './option-schema.ts';

/** The cookie that a host with these options sets; null for none. */
export function stickyCookieOf(values: OptionValues): StickyCookie | null {
  const { sticky = null, stickyAttributes, stickyKey = '' } = values;
  return sticky === null ? null : new StickyCookie(sticky, stickyKey, stickyAttributes ?? null);
}

/** The selector of a host with these options; null if they say nothing of it. */
export function selectorOf(values: OptionValues, sticky: StickyCookie | null): Selector | null {
  const { balance, slowStart } = values;
  if (balance === undefined && slowStart === undefined && sticky === null) return null;
  const selector = plainSelectorOf(values);
  return sticky === null ? selector : new ByCookie(sticky, selector);
}

function plainSelectorOf({
  balance = 'two-choices',
  hashBy = { kind: 'client' },
  slowStart = 0,
}: OptionValues): Selector {
  const { random } = Math;
  switch (balance) {
    case 'two-choices':
      return new TwoRandomChoices(random, slowStart);
    case 'random':
      return new AtRandom(random, slowStart);
    case 'round-robin':
      return new RoundRobin(random, slowStart);
    case 'least-requests':
      return new LeastRequests(random, slowStart);
    case 'hash':
      return new ByHash(hashBy);
  }
}
