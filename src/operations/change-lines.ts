import { ErrorCollector } from '../base/error-collector.ts';
import { HipacheError } from '../base/errors.ts';
import type { RouteChange } from '../stores/contract.ts';
import { checkChange } from './changing-routes.ts';

/** Lines that are read: more than any store takes at once. */
const linesMax = 100_000;

/** The members of each kind of line, besides the one that names its host. */
const membersOf: Readonly<Record<RouteChange['kind'], readonly string[]>> = {
  set: ['backends', 'id', 'ttl', 'ifVersion'],
  add: ['backends', 'ifVersion'],
  remove: ['backends', 'ifVersion'],
};
const kinds = Object.keys(membersOf) as RouteChange['kind'][];

/**
 * Reads changes of routes, one JSON object a line: `{"set": "host", "backends": […], "id": "…", "ttl": 60, "ifVersion": "…"}`, `add`
 * and `remove` likewise. Empty lines are skipped.
 * @throws HipacheError COMMAND_INVALID, or an AggregateError of them, with every line that is wrong.
 */
export async function readChanges(lines: AsyncIterable<string>): Promise<readonly RouteChange[]> {
  const changes: RouteChange[] = [];
  const lineOf = new Map<string, number>();
  const errors = new ErrorCollector();
  let number = 0;
  for await (const line of lines) {
    if (++number > linesMax) throw invalidLine(number, `more than ${linesMax} lines are not applied at once`);
    if (line.trim() === '') continue;
    try {
      const change = readChange(line);
      const earlier = lineOf.get(change.pattern);
      if (earlier !== undefined) throw invalid(`${change.pattern} is changed by line ${earlier} already`);
      lineOf.set(change.pattern, number);
      changes.push(change);
    } catch (error) {
      if (!(error instanceof HipacheError)) throw error;
      errors.add(invalidLine(number, error.message));
    }
  }
  errors.check();
  return changes;
}

function readChange(line: string): RouteChange {
  const body = parseObject(line);
  const [kind, another] = kinds.filter((name) => body[name] !== undefined);
  if (kind === undefined || another !== undefined) throw invalid('it has not one of "set", "add" and "remove"');
  const { [kind]: host, ...rest } = body;
  const unknown = Object.keys(rest).find((name) => !membersOf[kind].includes(name));
  if (unknown !== undefined) {
    throw invalid(`"${kind}" has no member ${JSON.stringify(unknown)}; it may have ${membersOf[kind].join(', ')}`);
  }
  if (typeof host !== 'string') throw invalid(`"${kind}" is not a host, *.domain or *`);
  const { ttl: ttlSeconds = null } = body;
  if (ttlSeconds !== null && typeof ttlSeconds !== 'number') throw invalid('"ttl" is not a number of seconds');
  const options = { id: textOf(body, 'id') ?? null, ifVersion: textOf(body, 'ifVersion'), ttlSeconds };
  return checkChange(kind, host, backendsOf(body, kind), options);
}

function backendsOf({ backends }: Record<string, unknown>, kind: RouteChange['kind']): readonly string[] {
  if (backends === undefined && kind === 'remove') return [];
  // An empty list, made by mistake, must not remove a whole route.
  const hint = kind === 'remove' ? '; to remove the whole route, leave it out' : '';
  if (!Array.isArray(backends) || backends.length === 0 || !backends.every((url) => typeof url === 'string')) {
    throw invalid(`"backends" is not an array of URLs${hint}`);
  }
  return backends;
}

function textOf(body: Record<string, unknown>, name: string): string | undefined {
  const value = body[name];
  if (value === undefined || typeof value === 'string') return value;
  throw invalid(`${JSON.stringify(name)} is not a text`);
}

function parseObject(line: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw invalid(`it is not JSON: ${(error as Error).message}`);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw invalid('it is not a JSON object');
}

function invalidLine(number: number, problem: string): HipacheError {
  return invalid(`line ${number}: ${problem}`);
}

function invalid(problem: string): HipacheError {
  return new HipacheError('COMMAND_INVALID', problem);
}
