import { isPathPrefix } from '../routing/path-prefixes.ts';
import type { OptionType } from './option-type.ts';

/** The name of the option whose prefixes have options that inherit from the host. */
export const pathsOption = 'paths';

/** Prefixes of one host, at most. */
export const pathsMax = 100;

export const pathPrefix: OptionType<string> = {
  allowed: 'the prefix of a path such as /api, without a slash at its end and without patterns',
  parse: (text) => (isPathPrefix(text) ? text : undefined),
};
