import { comparedName } from '../http/field-lines.ts';
import { Field, fieldNumberOf, identityFields, isFraming, isHopByHop } from '../http/field-names.ts';
import type { OptionType } from './option-type.ts';

/** Changes to the fields of a request or of a response. */
export interface FieldChanges {
  /** Names of the fields that are dropped, as `comparedName` gives them. */
  readonly dropped: ReadonlySet<string>;
  /** The added ones, as HTTP/1 lines. */
  readonly lines: string;
}

const changesMax = 100;

/** Changes to the fields of requests, for the backend. */
export const requestFieldChanges = fieldChanges('request');
/** Changes to the fields of responses, for the client. */
export const responseFieldChanges = fieldChanges('response');

function fieldChanges(of: 'request' | 'response'): OptionType<FieldChanges> {
  return {
    allowed: `lines, up to ${changesMax}: "Name: value" sets a field of the ${of}, "+Name: value" adds one, "Name:" drops one`,
    parse(text, problems) {
      const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '');
      if (lines.length > changesMax)
        problems.push(`${lines.length} lines; those after the first ${changesMax} are skipped`);
      const dropped = new Set<string>();
      let added = '';
      for (const line of lines.slice(0, changesMax)) {
        const change = readLine(line.trim(), of);
        if (typeof change === 'string') {
          problems.push(`${JSON.stringify(line)}: ${change}; the line is skipped`);
          continue;
        }
        if (!change.isAdded) dropped.add(comparedName(change.name));
        if (change.value !== '') added += `${change.name}: ${change.value}\r\n`;
      }
      return { dropped, lines: added };
    },
  };
}

interface LineChange {
  /** Whether other fields of this name stay. */
  readonly isAdded: boolean;
  readonly name: string;
  /** Empty: the field is dropped, as with nginx and curl. */
  readonly value: string;
}

/** A change, or what is wrong with the line. */
function readLine(line: string, of: 'request' | 'response'): LineChange | string {
  // RFC 9110 section 5.1: a name is a token.
  const [, sign = '', name = '', value = ''] = /^(\+?)([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*)$/.exec(line) ?? [];
  if (name === '') return 'it is not "Name: value", "+Name: value" or "Name:"';
  if (sign === '+' && value === '') return 'it has no value';
  if (!/^[\t\x20-\x7e\xa0-\xff]*$/.test(value)) return 'its value has a character that no field can have';
  const problem = reservedProblem(name, of);
  return problem ?? { isAdded: sign === '+', name, value };
}

/** Why nobody may change this field: null if everybody may. */
export function reservedProblem(name: string, of: 'request' | 'response'): string | null {
  const number = fieldNumberOf(Buffer.from(name, 'latin1'), 0, name.length);
  if (number === Field.HOST && of === 'request') return 'the option backendHost sets Host';
  if (isHopByHop(number) || isFraming(number)) return `${name} belongs to the connection or the framing of the message`;
  if (
    of === 'request' &&
    (number === Field.CDN_LOOP || number === Field.MAX_FORWARDS || name.toLowerCase() === 'via')
  ) {
    return `${name} counts the proxies on the way, so that loops are found`;
  }
  if (of === 'request' && ((identityFields >>> number) & 1) !== 0)
    return `Hipache sets ${name} itself, for backends to rely on`;
  return null;
}
