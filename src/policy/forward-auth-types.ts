import { reservedProblem } from './field-changes.ts';
import type { OptionType } from './option-type.ts';
import { webUrl } from './web-url.ts';

/** The URL of an auth server; empty if the option has none that can be used: then nobody is let in. */
export const authServerUrl: OptionType<string> = {
  allowed: 'an http or https URL without credentials and fragment, up to 2048 characters',
  parse(text, problems) {
    if (text !== '') return webUrl(text);
    problems.push('it has no URL: nobody is let in');
    return '';
  },
};

/** Names of fields that backends get from the auth server alone. `unusable`: nobody is let in. */
export type AuthFields = readonly string[] | 'unusable';

const fieldsMax = 50;

export const authFields: OptionType<AuthFields> = {
  allowed: `up to ${fieldsMax} names of fields with commas between them, or none`,
  parse(text, problems) {
    if (text === 'none') return [];
    const names = text.split(/[\s,]+/).filter((name) => name !== '');
    if (names.length > fieldsMax) {
      problems.push(`${names.length} names; with more than ${fieldsMax}, nobody is let in`);
      return 'unusable';
    }
    const usable = names.filter((name) => {
      const problem = nameProblem(name);
      if (problem !== null) problems.push(`${JSON.stringify(name)}: ${problem}; the name is skipped`);
      return problem === null;
    });
    if (usable.length > 0) return usable;
    problems.push('it has no name that can be used: nobody is let in');
    return 'unusable';
  },
};

/** Fields of the `X-Forwarded` family in which auth servers name the user: Hipache sets none of them itself. */
const userFields: ReadonlySet<string> = new Set(
  ['user', 'email', 'groups', 'preferred-username', 'access-token'].map((name) => `x-forwarded-${name}`),
);

function nameProblem(name: string): string | null {
  // RFC 9110 section 5.1: a name is a token.
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}$/.test(name)) return 'it is not the name of a field';
  return userFields.has(name.toLowerCase()) ? null : reservedProblem(name, 'request');
}
