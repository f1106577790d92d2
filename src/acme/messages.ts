import { z } from 'zod';
import { malformed } from './acme-error.ts';

/* The messages of an authority (RFC 8555 section 7.1), as far as they are used here. Further members are passed over. */

const url = z.url({ protocol: /^https$/ });

const directorySchema = z.object({
  newNonce: url,
  newAccount: url,
  newOrder: url,
  revokeCert: url.optional(),
  keyChange: url.optional(),
  /** RFC 9773. */
  renewalInfo: url.optional(),
  meta: z
    .object({
      termsOfService: z.string().optional(),
      externalAccountRequired: z.boolean().optional(),
      /** Names and descriptions (draft-ietf-acme-profiles). */
      profiles: z.record(z.string(), z.string()).optional(),
      caaIdentities: z.array(z.string()).optional(),
      /** draft-ietf-acme-dns-persist-02; without it, those of `caaIdentities` count. */
      issuerDomainNames: z.array(z.string()).optional(),
    })
    .optional(),
});
/** Where the functions of an authority are. */
export type Directory = z.infer<typeof directorySchema>;

const identifierSchema = z.object({ type: z.string(), value: z.string() });

const orderSchema = z.object({
  status: z.enum(['pending', 'ready', 'processing', 'valid', 'invalid']),
  identifiers: z.array(identifierSchema),
  authorizations: z.array(url),
  finalize: url,
  certificate: url.optional(),
  profile: z.string().optional(),
  error: z.unknown().optional(),
});
/** An order as the authority describes it. `url`: where it is. */
export type Order = z.infer<typeof orderSchema> & { readonly url: string };

const challengeSchema = z.object({
  type: z.string(),
  url,
  status: z.enum(['pending', 'processing', 'valid', 'invalid']),
  /** Of every kind of challenge but `dns-persist-01`. Base64url (RFC 8555 section 8.3). */
  token: z
    .string()
    .regex(/^[\w-]{20,500}$/)
    .optional(),
  error: z.unknown().optional(),
});
export type Challenge = z.infer<typeof challengeSchema>;

const authorizationSchema = z.object({
  status: z.enum(['pending', 'valid', 'invalid', 'deactivated', 'expired', 'revoked']),
  identifier: identifierSchema,
  challenges: z.array(z.unknown()),
  wildcard: z.boolean().optional(),
});
/** An authorization with the challenges that can be read: others, of kinds to come, are left out. */
export type Authorization = Omit<z.infer<typeof authorizationSchema>, 'challenges'> & {
  readonly url: string;
  readonly challenges: readonly Challenge[];
};

const accountSchema = z.object({ status: z.enum(['valid', 'deactivated', 'revoked']) });
export type Account = z.infer<typeof accountSchema> & { readonly url: string };

const renewalInfoSchema = z.object({
  suggestedWindow: z.object({ start: z.iso.datetime({ offset: true }), end: z.iso.datetime({ offset: true }) }),
  explanationURL: z.string().optional(),
});
/** When an authority wants a certificate to be renewed (RFC 9773 section 4.2); times in epoch ms. */
export interface RenewalInfo {
  readonly startMs: number;
  readonly endMs: number;
  readonly explanationUrl: string | null;
}

export function readDirectory(body: string): Directory {
  return parse(directorySchema, body, 'directory');
}

export function readAccount(body: string, url: string): Account {
  return { ...parse(accountSchema, body, 'account'), url };
}

/** @throws AcmeError `malformed`, also for a valid order without a certificate. */
export function readOrder(body: string, url: string): Order {
  const order = { ...parse(orderSchema, body, 'order'), url };
  if (order.status === 'valid' && order.certificate === undefined) {
    throw malformed('an order that is valid has no "certificate"');
  }
  return order;
}

export function readAuthorization(body: string, url: string): Authorization {
  const { challenges, ...authorization } = parse(authorizationSchema, body, 'authorization');
  return {
    ...authorization,
    url,
    challenges: challenges.flatMap((challenge) => challengeSchema.safeParse(challenge).data ?? []),
  };
}

export function readChallenge(body: string): Challenge {
  return parse(challengeSchema, body, 'challenge');
}

/** @throws AcmeError `malformed`, also for a window that ends before it begins, or at once (RFC 9773 section 4.2). */
export function readRenewalInfo(body: string): RenewalInfo {
  const { explanationURL, suggestedWindow } = parse(renewalInfoSchema, body, 'renewal information');
  const [startMs, endMs] = [Date.parse(suggestedWindow.start), Date.parse(suggestedWindow.end)];
  if (endMs <= startMs) throw malformed('the suggested window of a renewal does not end after it begins');
  return { startMs, endMs, explanationUrl: explanationURL ?? null };
}

/** Any JSON; undefined if it is none. */
export function jsonOf(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

function parse<Schema extends z.ZodType>(schema: Schema, body: string, what: string): z.infer<Schema> {
  const { data, error } = schema.safeParse(jsonOf(body));
  if (error === undefined) return data as z.infer<Schema>;
  const [issue] = error.issues;
  const where = issue === undefined || issue.path.length === 0 ? '' : ` at "${issue.path.join('.')}"`;
  throw malformed(`the ${what} is not as RFC 8555 has it${where}: ${issue?.message ?? 'not JSON'}`);
}
