import { z } from 'zod';
import {
  type ChangedOptions,
  type ListedOptions,
  type NamedOption,
  optionNames,
  pageOfOptions,
  setOptions,
  showOptions,
  unsetOptions,
} from '../options.ts';
import { hostField, nextField, pageFields } from './common.ts';
import { reading, writing } from './described.ts';

const listedFields = {
  pattern: z.string(),
  options: z.record(z.string(), z.string()).meta({ description: 'By name, without secrets.' }),
  problems: z.array(z.string()),
};

const listedOptions = z.object(listedFields).meta({ id: 'Options' }) satisfies z.ZodType<ListedOptions>;

const changedOptions = z
  .object({
    ...listedFields,
    set: z.array(z.string()).meta({ description: 'Names of options that have another value than before.' }),
    unset: z.array(z.string()),
    hasRoute: z.boolean().meta({ description: 'Without a route, options do nothing.' }),
  })
  .meta({ id: 'ChangedOptions' }) satisfies z.ZodType<ChangedOptions>;

const namedOption = z
  .object({
    name: z.string(),
    allowed: z.string(),
    default: z.string(),
    inherited: z.enum(['all', 'host', 'none']),
    description: z.string(),
  })
  .meta({ id: 'NamedOption' }) satisfies z.ZodType<NamedOption>;

export const optionOperations = {
  listOptions: reading({
    summary: 'Lists the options of every pattern that has any, a page at a time.',
    input: z.object(pageFields),
    result: z.object({ patterns: z.array(listedOptions), next: nextField }),
    prepare: (page) => (store) => pageOfOptions(store, page),
  }),
  showOptions: reading({
    summary: 'Shows the options of exactly this pattern.',
    input: z.object({ host: hostField }),
    result: listedOptions,
    prepare: ({ host }) => showOptions(host),
  }),
  setOptions: writing({
    summary: 'Sets options of a pattern; its other options stay.',
    input: z.object({
      host: hostField,
      options: z.record(z.string(), z.string()).meta({ description: 'Values by the names of the options.' }),
    }),
    result: changedOptions,
    creates: () => true,
    prepare: ({ host, options }) => setOptions(host, Object.entries(options)),
  }),
  unsetOptions: writing({
    summary: 'Removes options of a pattern.',
    input: z.object({
      host: hostField,
      names: z.array(z.string()).default([]).meta({ description: 'Those to remove; none: all of them.' }),
    }),
    result: changedOptions,
    prepare: ({ host, names }) => unsetOptions(host, names),
  }),
  optionNames: reading({
    summary: 'Lists every option that there is, with its values and its default.',
    input: z.object({}),
    result: z.object({ options: z.array(namedOption) }),
    usesStore: false,
    prepare: () => async () => ({ options: optionNames() }),
  }),
};
