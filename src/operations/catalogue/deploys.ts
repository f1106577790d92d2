import { z } from 'zod';
import { invariant } from '../../base/invariant.ts';
import type { DeployOperation, DeployWays } from '../deploy.ts';
import { deploy, rollBack } from '../deploy.ts';
import { abortCanary, deployCanary, promoteCanary } from '../deploy-canary.ts';
import { type ProbeWays, withProbeWays } from '../deploy-health.ts';
import type { Deployed, DeployStep } from '../deploy-swap.ts';
import { backendsField, hostField, liveChange, versionField } from './common.ts';
import { type OperationMeans, writing } from './described.ts';
import { drainedFleet } from './routes.ts';

const duration = z
  .string()
  .max(32)
  .meta({ description: 'A time with its unit.', examples: ['30s'] });

const healthFields = {
  health: z.string().max(2048).optional().meta({
    description: 'The path that a new backend must respond to with success; default: any response below 500.',
  }),
  healthStatus: z.string().max(32).optional().meta({ description: 'The statuses of a healthy backend: `200-399`.' }),
  healthText: z.string().max(1024).optional().meta({ description: 'Text that the response must contain.' }),
  healthTimeout: duration.optional().meta({ description: 'How long the new backends may take; default: 30s.' }),
};

const timeFields = {
  drain: duration.optional().meta({ description: 'How long the former backends may take to finish; default: 30s.' }),
  liveTimeout: duration.optional().meta({ description: 'How long the change may take to be live; default: 10s.' }),
  queue: duration
    .optional()
    .meta({ description: 'How long to wait for another deploy of the host; default: it is refused.' }),
};

const deployed = z
  .object({
    action: z.enum(['deployed', 'canary', 'promoted', 'aborted']),
    pattern: z.string(),
    backends: z.array(z.string()),
    canary: z.object({ share: z.number(), backends: z.array(z.string()) }).nullable(),
    replaced: z.array(z.string()),
    version: versionField,
    live: liveChange.nullable(),
    drained: drainedFleet.nullable(),
    afterMs: z.number(),
  })
  .meta({ id: 'Deployed' }) satisfies z.ZodType<Deployed>;

const step = z
  .discriminatedUnion('step', [
    z.object({ step: z.literal('probed'), url: z.string(), problem: z.string() }),
    z.object({ step: z.literal('waiting'), holder: z.string() }),
    z.object({ step: z.literal('swapped'), draining: z.array(z.string()) }),
    z.object({ step: z.literal('live'), live: liveChange.nullable() }),
  ])
  .meta({ id: 'DeployStep' }) satisfies z.ZodType<DeployStep>;

export const deployOperations = {
  deploy: writing({
    summary: 'Replaces the backends of a route once the new ones are healthy, and lets the former ones finish.',
    input: z.object({
      host: hostField,
      backends: backendsField.min(1),
      canary: z
        .string()
        .max(16)
        .optional()
        .meta({ description: 'Replaces none, and gives the new backends this share of the clients: `5%`.' }),
      ...healthFields,
      ...timeFields,
    }),
    result: deployed,
    step,
    creates: ({ canary }) => canary === undefined,
    prepare: ({ backends, canary, host, ...text }, means) =>
      deploying(means, (ways) =>
        canary === undefined ? deploy(host, backends, text, ways) : deployCanary(host, backends, canary, text, ways),
      ),
  }),
  promoteCanary: writing({
    summary: 'Gives all clients to the canary, and lets the other backends finish.',
    input: z.object({ host: hostField, ...healthFields, ...timeFields }),
    result: deployed,
    step,
    prepare: ({ host, ...text }, means) => deploying(means, (ways) => promoteCanary(host, text, ways)),
  }),
  abortCanary: writing({
    summary: 'Lets the canary finish, and removes it.',
    input: z.object({ host: hostField, ...timeFields }),
    result: deployed,
    step,
    prepare: ({ host, ...text }, means) => deploying(means, (ways) => abortCanary(host, text, ways)),
  }),
  rollBack: writing({
    summary: 'Deploys the backends again that the last deploy has replaced.',
    input: z.object({ host: hostField, ...healthFields, ...timeFields }),
    result: deployed,
    step,
    prepare: ({ host, ...text }, means) => deploying(means, (ways) => rollBack(host, text, ways)),
  }),
};

/** The operation is checked at once; ways to reach backends are there while it goes on. */
function deploying(
  { config, now, onStep }: OperationMeans,
  make: (ways: DeployWays) => DeployOperation,
): DeployOperation {
  const ways = { present: null as ProbeWays | null };
  const present = (): ProbeWays => {
    invariant(ways.present !== null, 'backends are reached only while a deploy goes on');
    return ways.present;
  };
  const operation = make({
    ways: {
      get resolver() {
        return present().resolver;
      },
      get tls() {
        return present().tls;
      },
    },
    now,
    onStep,
  });
  return (store) =>
    withProbeWays(config, (opened) => {
      ways.present = opened;
      return operation(store);
    });
}
