import { z } from 'zod';
import { type ShownLoad, showLoad } from '../load.ts';
import {
  type HostStatistics,
  listTraffic,
  type ShownTraffic,
  type Statistics,
  showTraffic,
  statisticsOrders,
} from '../statistics.ts';
import { hostField, time } from './common.ts';
import { reading } from './described.ts';

const traffic = z
  .object({
    name: z.string().meta({ description: 'The pattern of a host, or the URL of a backend; empty for all together.' }),
    requestsPerSecond: z.number().meta({ description: 'In the last window that is over, as all rates and durations.' }),
    errorsPerSecond: z.number(),
    bytesPerSecond: z.number(),
    p50Ms: z.number().nullable(),
    p99Ms: z.number().nullable(),
    requests: z.number(),
    errors: z.number().meta({ description: 'Those that are the fault of a backend.' }),
    clientErrors: z.number().meta({ description: 'Responses with a status from 400 to 499.' }),
    tunnels: z.number(),
    bytes: z.number(),
    last: time.nullable(),
  })
  .meta({ id: 'Traffic' }) satisfies z.ZodType<ShownTraffic>;

const frame = {
  since: time.meta({ description: 'When the oldest worker began to count.' }),
  windowSeconds: z.number(),
  workers: z.number(),
};

const statistics = z.object({
  ...frame,
  all: traffic,
  hosts: z.array(traffic),
}) satisfies z.ZodType<Statistics>;

const hostStatistics = z.object({
  ...frame,
  host: traffic,
  backends: z.array(traffic),
}) satisfies z.ZodType<HostStatistics>;

const load = z
  .object({
    at: time.meta({ description: 'The end of the window.' }),
    seconds: z.number().meta({ description: 'The length of the window.' }),
    instances: z.number(),
    requestsPerSecond: z.number(),
    classes: z
      .record(z.string(), z.number())
      .meta({ description: 'Requests a second by class of their status; `none`: the client left before.' }),
    failuresPerSecond: z.number().meta({ description: 'Requests that ended with an error of a backend.' }),
    bytesPerSecond: z.number(),
    p50Ms: z.number().nullable(),
    p99Ms: z.number().nullable(),
    tunnels: z.number().meta({ description: 'At the end of the window, as all that follow.' }),
    requestsInFlight: z.number(),
    clientConnections: z.number(),
    residentBytes: z.number(),
  })
  .meta({ id: 'Load' }) satisfies z.ZodType<ShownLoad>;

export const statisticsOperations = {
  showLoad: reading({
    summary: 'Shows what the fleet has done in each window of the last hour, as far as this instance has heard of it.',
    input: z.object({ after: time.optional().meta({ description: 'Only windows that end later.' }) }),
    result: z.object({ windows: z.array(load) }),
    usesStore: false,
    prepare:
      ({ after }, { instance }) =>
      () =>
        showLoad(instance.load, after === undefined ? 0 : Date.parse(after)),
  }),
  listTraffic: reading({
    summary: 'Lists the hosts of this instance with the most traffic, errors or latency.',
    input: z.object({
      order: z
        .enum(statisticsOrders)
        .default('rate')
        .meta({ description: 'By what they are sorted, the highest first.' }),
      limit: z.int().min(1).max(1000).default(50).meta({ description: 'The most hosts.' }),
      prefix: z.string().max(1024).default('').meta({ description: 'Only patterns that begin like this.' }),
    }),
    result: statistics,
    usesStore: false,
    prepare:
      (listed, { instance }) =>
      () =>
        listTraffic(instance.statistics, listed),
  }),
  showTraffic: reading({
    summary: 'Shows the traffic of a host, and of its backends, on this instance.',
    input: z.object({ host: hostField }),
    result: hostStatistics,
    prepare: ({ host }, { instance }) => showTraffic(host, instance.statistics),
  }),
};
