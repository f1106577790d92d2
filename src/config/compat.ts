import { z } from 'zod';
import { key } from './keys.ts';

/** `compat`: what is shared with the original, or PlanB, where both run on one store. */
export const compatSection = z.object({
  deadSet: key(z.union([z.boolean(), z.literal('auto')]).default('auto'), {
    source: 'new',
    description:
      'The dead sets of the original in Redis, `dead:<host>`. true: read and written, for a fleet that still runs it. false: not looked at, nor is an external checker. `auto`: read while an external checker runs.',
    allowed: 'true, false or "auto"',
    default: '"auto"',
  }),
});
