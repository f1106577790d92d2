import { printable } from '../base/printable.ts';
import type { AcceptedRoutes } from '../operations/accept.ts';
import type { Report } from './output.ts';

export function acceptanceReport(acceptance: AcceptedRoutes): Report {
  const { holding } = acceptance;
  return { text: `${textOf(holding)}\n`, json: acceptance };
}

function textOf(holding: AcceptedRoutes['holding']): string {
  const drop = 'drops them within a few seconds';
  if (holding === null) return `accepted: an instance that serves routes that the store does not have ${drop}`;
  if (holding.length === 0)
    return 'accepted; no instance has reported that it serves routes that the store does not have';
  const named = holding.map(({ instance, heldRoutes }) => `${printable(instance)} (${heldRoutes} routes)`).join(', ');
  return `accepted: each instance that serves routes that the store does not have ${drop}: ${named}`;
}
