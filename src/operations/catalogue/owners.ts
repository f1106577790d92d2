import { z } from 'zod';
import {
  forgetSource,
  type HostOwner,
  type ListedSource,
  listOwnedHosts,
  listOwners,
  type OwnedChanges,
  ownedBackendsMax,
  setOwnedRoutes,
  showOwner,
} from '../owned-routes.ts';
import { backendsField, hostField, time } from './common.ts';
import { reading, writing } from './described.ts';

/** Routes that a source gives at once. */
const ownedRoutesMax = 10_000;

const name = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'allowed are 1 to 64 letters, digits and ._-, a letter or digit first');

const sourceFields = {
  owner: name.meta({
    description: 'The name of the program that makes the routes, such as `docker`.',
    examples: ['docker'],
  }),
  source: name.meta({ description: 'The part of the owner that wants them, such as a machine.', examples: ['web-1'] }),
};

const wantedRoute = z
  .object({
    host: hostField,
    backends: backendsField.max(ownedBackendsMax).default([]).meta({
      description: 'URLs of backends; none: the source does not want the route any more.',
    }),
    options: z.record(z.string(), z.string()).default({}).meta({ description: 'Values by the names of the options.' }),
  })
  .meta({ id: 'WantedRoute' });

const ownedChanges = z
  .object({
    added: z.array(z.string()).meta({ description: 'Hosts at which the source had nothing before.' }),
    changed: z.array(z.string()),
    removed: z.array(z.string()).meta({ description: 'Hosts at which the source has nothing any more.' }),
    unchanged: z.number(),
    refused: z
      .array(z.object({ host: z.string(), reason: z.string(), owner: z.string().nullable() }))
      .meta({ description: 'Hosts that were left alone; `owner` is null if no owner has them.' }),
    conflicts: z
      .array(z.object({ host: z.string(), option: z.string(), holder: z.string() }))
      .meta({ description: 'Options for which the value of another source, `holder`, holds: it was there first.' }),
  })
  .meta({ id: 'OwnedChanges' }) satisfies z.ZodType<OwnedChanges>;

const listedSource = z
  .object({
    owner: z.string(),
    source: z.string(),
    hosts: z.number(),
    seen: time.nullable().meta({ description: 'When it has last given all of its routes; null: never.' }),
    holder: z.string().nullable().meta({ description: 'The process that keeps its routes.' }),
  })
  .meta({ id: 'Source' }) satisfies z.ZodType<ListedSource>;

const hostOwner = z
  .object({
    pattern: z.string(),
    owner: z.string().nullable().meta({ description: 'Null: nobody.' }),
    sources: z.array(z.object({ source: z.string(), backends: z.array(z.string()) })),
    options: z.array(z.string()).meta({ description: 'Names of options that the owner has set.' }),
  })
  .meta({ id: 'HostOwner' }) satisfies z.ZodType<HostOwner>;

export const ownerOperations = {
  listOwners: reading({
    summary: 'Lists the sources of routes that have an owner.',
    input: z.object({}),
    result: z.object({ sources: z.array(listedSource) }),
    prepare: () => async (store) => ({ sources: await listOwners(store) }),
  }),
  showOwner: reading({
    summary: 'Shows who owns the route of exactly this pattern.',
    input: z.object({ host: hostField }),
    result: hostOwner,
    prepare: ({ host }) => showOwner(host),
  }),
  listOwnedHosts: reading({
    summary: 'Lists the hosts of a source.',
    input: z.object(sourceFields),
    result: z.object({ hosts: z.array(z.string()) }),
    prepare: (source) => async (store) => ({ hosts: await listOwnedHosts(store, source) }),
  }),
  setOwnedRoutes: writing({
    summary: 'Makes the routes of a source what it wants, and leaves alone what it has not made.',
    input: z.object({
      ...sourceFields,
      routes: z.array(wantedRoute).max(ownedRoutesMax),
      complete: z
        .boolean()
        .default(true)
        .meta({ description: 'Whether these are all routes of the source: others that it has made are removed.' }),
      adopt: z.boolean().default(false).meta({ description: 'Whether routes that have no owner are taken over.' }),
      holder: z
        .string()
        .min(1)
        .max(300)
        .nullable()
        .default(null)
        .meta({ description: 'The process that keeps the routes of the source: another one is refused for 90 s.' }),
      release: z
        .boolean()
        .default(false)
        .meta({ description: 'Whether the holder gives up the source: another one may have it at once.' }),
    }),
    result: ownedChanges,
    creates: ({ routes }) => routes.length > 0,
    prepare: (wish, { now }) => setOwnedRoutes(wish, now),
  }),
  forgetSource: writing({
    summary: 'Removes everything that a source has made: its machine is gone for good.',
    input: z.object(sourceFields),
    result: ownedChanges,
    prepare:
      (source, { now }) =>
      (store) =>
        forgetSource(store, source, now()),
  }),
};
