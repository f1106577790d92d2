import { z } from 'zod';
import { type AcceptedRoutes, acceptRoutes } from '../accept.ts';
import { changesMax, toChanges } from '../change-lines.ts';
import {
  type AddedBackends,
  type AppliedChange,
  addBackends,
  applyChanges,
  type RemovedBackends,
  removeBackends,
  setRoute,
  type WrittenRoute,
} from '../changing-routes.ts';
import { type DrainedBackends, type DrainedFleet, drainBackends } from '../draining.ts';
import { routesPerPage } from '../route-search.ts';
import { type ListedRoute, pageOfRoutes, type ShownRoute, showRoute } from '../routes.ts';
import { backendsField, hostField, nextField, pageFields, time, versionField } from './common.ts';
import { reading, writing } from './described.ts';

const listedRoute = z.object({ pattern: z.string(), id: z.unknown(), backends: z.array(z.unknown()) }).meta({
  id: 'ListedRoute',
  description: 'A record as it is in the store, unchecked.',
}) satisfies z.ZodType<ListedRoute>;

export const expiry = z.object({ at: time, remainingMs: z.number() });

export const drainingBackend = z.object({ url: z.string(), until: time });

export const shownBackendFields = {
  index: z.number(),
  url: z.string(),
  weight: z.number(),
  backup: z.boolean(),
  canary: z.number().nullable().meta({ description: 'The share of the clients, in percent, that all canaries get.' }),
};

const shownRoute = z
  .object({
    pattern: z.string(),
    id: z.string(),
    version: versionField,
    backends: z.array(z.object(shownBackendFields)),
    elements: z.array(z.unknown()).meta({
      description: 'The backends as the record has them, with everything behind `#`; passwords are masked.',
    }),
    draining: z.array(drainingBackend),
    problems: z.array(z.string()),
    expires: expiry.nullable(),
  })
  .meta({ id: 'Route' }) satisfies z.ZodType<ShownRoute>;

const changedFields = {
  pattern: z.string(),
  version: versionField,
  warning: z.string().exactOptional().meta({ description: 'Why no request comes to the route.' }),
};

const writtenRoute = z
  .object({
    ...changedFields,
    kind: z.literal('set'),
    action: z.enum(['created', 'replaced']),
    backends: z.array(z.string()),
    ttlSeconds: z.number().nullable(),
  })
  .meta({ id: 'WrittenRoute' }) satisfies z.ZodType<WrittenRoute>;

const addedBackends = z
  .object({
    ...changedFields,
    kind: z.literal('add'),
    isNew: z.boolean(),
    added: z.array(z.string()),
    changed: z.array(z.string()),
    already: z.array(z.string()),
  })
  .meta({ id: 'AddedBackends' }) satisfies z.ZodType<AddedBackends>;

const removedBackends = z
  .object({
    ...changedFields,
    kind: z.literal('remove'),
    wasAbsent: z.boolean(),
    removed: z.array(z.string()),
    absent: z.array(z.string()),
    left: z.number().nullable().meta({ description: 'Backends that remain; null if the route is gone.' }),
  })
  .meta({ id: 'RemovedBackends' }) satisfies z.ZodType<RemovedBackends>;

export const drainedFleet = z
  .object({
    instances: z.number(),
    workers: z.number(),
    tunnelsEnded: z.number(),
    requestsEnded: z.number(),
    silent: z.array(z.string()),
  })
  .meta({ id: 'DrainedFleet' }) satisfies z.ZodType<DrainedFleet>;

const drainedBackends = z.object({
  removed: removedBackends,
  afterMs: z.number(),
  fleet: drainedFleet.nullable(),
}) satisfies z.ZodType<DrainedBackends>;

const appliedChange = z.discriminatedUnion('kind', [
  writtenRoute,
  addedBackends,
  removedBackends,
]) satisfies z.ZodType<AppliedChange>;

const accepted = z.object({
  accepted: time,
  holding: z.array(z.object({ instance: z.string(), heldRoutes: z.number() })).nullable(),
}) satisfies z.ZodType<AcceptedRoutes>;

export const routeOperations = {
  listRoutes: reading({
    summary: 'Lists routes in code point order of their patterns, a page at a time.',
    input: z.object({
      ...pageFields,
      limit: z.int().min(1).max(routesPerPage).default(1000).meta({ description: 'The most entries of a page.' }),
      prefix: z.string().max(1024).default('').meta({ description: 'Only patterns that begin like this.' }),
      contains: z.string().max(1024).default('').meta({ description: 'Only patterns that have this in them.' }),
    }),
    result: z.object({ routes: z.array(listedRoute), next: nextField }),
    prepare:
      (page, { routeIndex }) =>
      (store) =>
        pageOfRoutes(store, page, routeIndex ?? null),
  }),
  showRoute: reading({
    summary: 'Shows the route of exactly this pattern.',
    input: z.object({ host: hostField }),
    result: shownRoute,
    prepare: ({ host }, { now }) => showRoute(host, now),
  }),
  setRoute: writing({
    summary: 'Creates a route, or replaces its backends.',
    input: z.object({
      host: hostField,
      backends: backendsField,
      id: z
        .string()
        .max(1024)
        .nullish()
        .meta({ description: 'Name of the virtual host, for logs; default: its current name, else the pattern.' }),
      ttlSeconds: z
        .number()
        .nullish()
        .meta({ description: 'The store removes the route after so many seconds; default: never.' }),
      ifVersion: versionField.optional(),
    }),
    result: writtenRoute,
    creates: () => true,
    prepare: ({ backends, host, id = null, ifVersion, ttlSeconds = null }) =>
      setRoute(host, backends, { id, ifVersion, ttlSeconds }),
  }),
  addBackends: writing({
    summary: 'Adds backends to a route, and creates the route if it does not exist.',
    input: z.object({ host: hostField, backends: backendsField.min(1), ifVersion: versionField.optional() }),
    result: addedBackends,
    creates: () => true,
    prepare: ({ backends, host, ifVersion }) => addBackends(host, backends, { ifVersion }),
  }),
  removeBackends: writing({
    summary: 'Removes backends from a route, or the whole route if none is named.',
    input: z.object({ host: hostField, backends: backendsField.default([]), ifVersion: versionField.optional() }),
    result: removedBackends,
    prepare: ({ backends, host, ifVersion }) => removeBackends(host, backends, { ifVersion }),
  }),
  drainBackends: writing({
    summary: 'Lets backends finish what is in progress, gives them nothing new, and removes them.',
    input: z.object({
      host: hostField,
      backends: backendsField.min(1),
      seconds: z.number().meta({ description: 'After so long, what is left is ended.' }),
      ifVersion: versionField.optional(),
    }),
    result: drainedBackends,
    prepare: ({ backends, host, ifVersion, seconds }, { now }) =>
      drainBackends(host, backends, seconds, { ifVersion }, now),
  }),
  applyChanges: writing({
    summary: 'Makes changes of different routes, all of them or none.',
    input: z.object({
      changes: z.array(z.record(z.string(), z.unknown())).max(changesMax).meta({
        description: 'Each with `set`, `add` or `remove`: the lines that `hipache route apply` reads.',
      }),
      dryRun: z.boolean().default(false).meta({ description: 'Whether nothing is written.' }),
    }),
    result: z.object({ changes: z.array(appliedChange) }),
    creates: ({ dryRun }) => !dryRun,
    prepare: ({ changes, dryRun }) => {
      const apply = applyChanges(toChanges(changes), dryRun);
      return async (store) => ({ changes: [...(await apply(store))] });
    },
  }),
  acceptRoutes: writing({
    summary: 'Accepts that most routes were removed: instances that still serve them drop them.',
    input: z.object({}),
    result: accepted,
    prepare:
      (_input, { now }) =>
      (store) =>
        acceptRoutes(store, now()),
  }),
};
