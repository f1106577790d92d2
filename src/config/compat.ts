import { z } from 'zod';
import { key, trueOrFalse } from './keys.ts';

/** `compat`: data shared with Hipache 0.4 or PlanB if both run on one store. */
export const compatSection = z.object({
  deadSet: key(z.union([z.boolean(), z.literal('auto')]).default('auto'), {
    source: 'new',
    description:
      'The dead sets of Hipache 0.4 in Redis, `dead:<host>`. true: read and written, for a fleet that still runs 0.4. false: ignored, and so is an external checker. `auto`: read while an external checker runs.',
    allowed: 'true, false or "auto"',
    default: '"auto"',
  }),
  hostPort: trueOrFalse(false, {
    source: 'new',
    description:
      'Whether the record of a host and port, `frontend:<host>:<port>`, takes precedence over that of the host if the `Host` field has a port, as in PlanB. Each host and port that clients use then takes a lookup and an entry of `limits.cacheNegativeEntriesMax`.',
  }),
});
