import { z } from 'zod';
import type { LiveExplanation } from '../../routing/live-explanation.ts';
import { orderingOf } from '../certificate-standing.ts';
import { type Explanation, explainedPort, explainHere, parseHost } from '../explain.ts';
import { certificateProblems } from '../explain-certificate.ts';
import { liveQuestion } from '../explain-live.ts';
import { parseRequest } from '../explain-request.ts';
import { type Fleet, listFleet, waitUntilLive } from '../fleet.ts';
import { liveChange, time } from './common.ts';
import { reading } from './described.ts';
import { drainingBackend, expiry, shownBackendFields } from './routes.ts';

const waitSecondsMax = 3600;

const fleetInstance = z
  .object({
    instance: z.string(),
    host: z.string().meta({ description: 'The machine.' }),
    version: z.string(),
    since: z.string(),
    heardMs: z.number().nullable(),
    revision: z.number(),
    workers: z.array(z.object({ number: z.number(), revision: z.number() })),
    draining: z
      .object({
        drains: z.array(
          z.object({
            pattern: z.string(),
            untilMs: z.number(),
            inFlight: z.number(),
            tunnelsEnded: z.number(),
            requestsEnded: z.number(),
          }),
        ),
        others: z.number(),
      })
      .nullable(),
    isCurrent: z.boolean().meta({ description: 'Whether all of its workers serve everything that was written.' }),
    heldRoutes: z.number(),
  })
  .meta({ id: 'Instance' });

const fleet = z.object({
  revision: z.number(),
  instances: z.array(fleetInstance),
}) satisfies z.ZodType<Fleet>;

const choice = z.object({ url: z.string().nullable(), by: z.string() });
const hold = z.object({ because: z.string(), forMs: z.number() });

const explainedBackend = z.object({
  ...shownBackendFields,
  dead: z
    .object({ until: time, since: time, remainingMs: z.number(), reason: z.string(), instance: z.string() })
    .nullable(),
  failures: z
    .object({
      count: z.number(),
      since: time,
      last: time,
      agoMs: z.number(),
      reason: z.string(),
      instance: z.string(),
    })
    .nullable(),
  addresses: z.array(z.string()).nullable(),
  addressProblem: z.string().nullable(),
});

const liveExplanation = z.object({
  worker: z.number(),
  matched: z.string().nullable(),
  isConnected: z.boolean(),
  requests: z.number(),
  requestsMax: z.number(),
  tunnels: z.number(),
  tunnelsMax: z.number(),
  waiting: z.number(),
  tokens: z.number().nullable(),
  held: hold.nullable(),
  chosen: choice.nullable(),
  backends: z.array(z.object({ url: z.string(), inFlight: z.number(), dead: z.string().nullable() })),
}) satisfies z.ZodType<LiveExplanation>;

const explanation = z
  .object({
    host: z.string(),
    tried: z.array(z.object({ pattern: z.string(), matched: z.boolean() })),
    matched: z.string().nullable(),
    path: z.string().nullable(),
    id: z.string().nullable(),
    expires: expiry.nullable(),
    backends: z.array(explainedBackend),
    draining: z.array(drainingBackend),
    refusal: z
      .object({
        status: z.number(),
        code: z.string().nullable(),
        location: z.string().nullable(),
        detail: z.string(),
      })
      .nullable(),
    health: z
      .object({
        path: z.string(),
        everyMs: z.number(),
        timeoutMs: z.number(),
        isShared: z.boolean(),
        checkers: z.array(z.object({ url: z.string(), instance: z.string().nullable() })).nullable(),
      })
      .nullable(),
    authServer: z.string().nullable(),
    held: hold.nullable(),
    chosen: choice.nullable(),
    options: z.array(z.object({ name: z.string(), value: z.string(), from: z.string() })),
    problems: z.array(z.string()),
    instances: z.array(fleetInstance).nullable(),
    live: z
      .array(liveExplanation)
      .nullable()
      .meta({ description: 'The state of the host in each worker of the instance; null if they were not asked.' }),
  })
  .meta({ id: 'Explanation' }) satisfies z.ZodType<Explanation & { live: readonly LiveExplanation[] | null }>;

export const explainOperations = {
  explain: reading({
    summary: 'Shows which route a request takes, what was tried, and why.',
    input: z.object({
      host: z.string().min(1).max(1024).meta({ description: 'As in a request, with a port or not.' }),
      path: z.string().max(8192).optional().meta({ description: 'Default: /.' }),
      method: z.string().max(32).optional().meta({ description: 'Default: GET.' }),
      client: z.string().max(64).optional().meta({ description: 'The address of the client.' }),
      https: z.boolean().optional().meta({ description: 'Whether the client uses https.' }),
      header: z.array(z.string().max(8192)).max(100).optional().meta({ description: 'Fields: `Name: value`.' }),
      live: z.boolean().default(false).meta({ description: 'Whether the workers of the instance are asked too.' }),
    }),
    result: explanation,
    prepare: ({ host, live, ...given }, { config, instance, now }) => {
      const asked = parseRequest(parseHost(host), given);
      const port = explainedPort(host, config?.compat.hostPort ?? false);
      return async (store) => {
        const explained = await explainHere(asked.host, store, config?.dns ?? null, now(), port, asked);
        // An account may have the right to read routes alone.
        const ofCertificate =
          explained.matched === null
            ? []
            : await certificateProblems(asked.host, store, orderingOf(config), now()).catch(() => []);
        return {
          ...explained,
          problems: [...explained.problems, ...ofCertificate],
          live: live ? await instance.explain(liveQuestion(asked)) : null,
        };
      };
    },
  }),
  listFleet: reading({
    summary: 'Shows the running instances that share the store, and whether they serve every change.',
    input: z.object({}),
    result: fleet,
    prepare:
      (_input, { now }) =>
      (store) =>
        listFleet(store, now()),
  }),
  waitUntilLive: reading({
    summary: 'Waits until every instance serves everything that has been written so far.',
    input: z.object({
      seconds: z.number().min(0).max(waitSecondsMax).default(10).meta({ description: 'How long to wait.' }),
    }),
    result: liveChange,
    prepare:
      ({ seconds }, { now }) =>
      (store) =>
        waitUntilLive(store, seconds * 1000, now),
  }),
};
