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
import { type ShownRequest, tailRequests } from '../tail.ts';
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

const shownRequest = z
  .object({
    at: time,
    worker: z.number(),
    client: z.string(),
    method: z.string(),
    host: z.string(),
    target: z.string(),
    status: z.number().meta({ description: '0 if none was sent.' }),
    errorCode: z.string().nullable(),
    errorDetail: z.string(),
    durationMs: z.number(),
    bytesSent: z.number(),
    route: z.string().nullable(),
    backend: z.string().nullable(),
    attempts: z.number(),
    isTunnel: z.boolean(),
    requestId: z.string(),
  })
  .meta({ id: 'TailedRequest' }) satisfies z.ZodType<ShownRequest>;

export const statisticsOperations = {
  tailRequests: reading({
    summary:
      'Shows the requests that have ended on this instance since the last question, 50 a second of each worker at most.',
    input: z.object({
      host: hostField.optional().meta({ description: 'Only those of this host, or of this pattern of a route.' }),
      onlyErrors: z
        .boolean()
        .default(false)
        .meta({ description: 'Only those that ended with an error, or with a status from 400.' }),
      after: z.string().max(8192).default('').meta({
        description: '`next` of the last answer. The first question has no answer; requests are kept for 10 s.',
      }),
    }),
    result: z.object({
      requests: z.array(shownRequest),
      next: z.string(),
      leftOut: z.number().meta({ description: 'Requests that are missing because there were too many.' }),
    }),
    usesStore: false,
    prepare:
      ({ after, host = null, onlyErrors }, { instance }) =>
      () =>
        tailRequests(instance.tail, { after, host, onlyErrors }),
  }),
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
