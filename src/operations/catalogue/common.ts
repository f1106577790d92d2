import { z } from 'zod';
import type { LiveChange } from '../fleet.ts';

/** Longest text of a name in a request. */
const nameCharsMax = 1024;

export const hostField = z
  .string()
  .min(1)
  .max(nameCharsMax)
  .meta({ description: 'A host, `*.domain` or `*`, with the prefix of a path or not.', examples: ['app.example.com'] });

export const backendsField = z
  .array(z.string().max(8192))
  .max(10_000)
  .meta({ description: 'URLs of backends, with `#weight=2`, `#backup` or `#canary=5`.' });

export const versionField = z
  .string()
  .max(nameCharsMax)
  .meta({ description: 'The version that the route must have; `none`: there is none.' });

/** Which page of a listing. */
export const pageFields = {
  after: z.string().max(nameCharsMax).default('').meta({ description: 'Only entries behind this one.' }),
  limit: z.int().min(1).max(10_000).default(1000).meta({ description: 'The most entries of a page.' }),
};

/** Where the next page begins: its `after`. */
export const nextField = z
  .string()
  .nullable()
  .meta({ description: '`after` of the next page; null if this is the last one.' });

export const liveChange = z
  .object({
    revision: z.number(),
    instances: z.number(),
    workers: z.number(),
    afterMs: z.number(),
  })
  .meta({
    id: 'LiveChange',
    description: 'A change that every worker of every instance serves.',
  }) satisfies z.ZodType<LiveChange>;

export const time = z.string().meta({ description: 'ISO 8601, UTC.' });
