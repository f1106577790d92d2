import { z } from 'zod';
import { key } from './keys.ts';

/** `compat`: data shared with Hipache 0.4 or PlanB if both run on one store. */
export const compatSection = z.object({
  deadSet: key(z.union([z.boolean(), z.literal('auto')]).default('auto'), {
    source: 'new',
    description:
      'The dead sets of Hipache 0.4 in Redis, `dead:<host>`. true: read and written, for a fleet that still runs 0.4. false: ignored, and so is an external checker. `auto`: read while an external checker runs.',
    allowed: 'true, false or "auto"',
    default: '"auto"',
  }),
});
