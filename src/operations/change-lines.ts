import { ErrorCollector } from '../base/error-collector.ts';
import { HipacheError } from '../base/errors.ts';
import type { RouteChange } from '../stores/contract.ts';
import { checkChange } from './changing-routes.ts';

/** Changes that are made at once: more than any store takes. */
export const changesMax = 100_000;
const tooMany = `more than ${changesMax} lines are not applied at once`;

/** The members of each kind of line, besides the one that names its host. */
const membersOf: Readonly<Record<RouteChange['kind'], readonly string[]>> = {
  set: ['backends', 'id', 'ttl', 'ifVersion'],
  add: ['backends', 'ifVersion'],
  remove: ['backends', 'ifVersion'],
};
const kinds = Object.keys(membersOf) as RouteChange['kind'][];

/** A change as an operator writes it. */
export type WrittenChange = Record<string, unknown>;

/**
 * Reads changes of routes, one JSON object a line: `{"set": "host", "backends": […], "id": "…", "ttl": 60, "ifVersion": "…"}`, `add`
 * and `remove` likewise. Empty lines are skipped.
 * @returns what was written, which has been checked.
 * @throws HipacheError COMMAND_INVALID, or an AggregateError of them, with every line that is wrong.
 */
export async function readChangeLines(lines: AsyncIterable<string>): Promise<readonly WrittenChange[]> {
  const written: WrittenChange[] = [];
  const changes = new ChangeReader('line');
  let number = 0;
  for await (const line of lines) {
    if (++number > changesMax) throw new HipacheError('COMMAND_INVALID', `line ${number}: ${tooMany}`);
    if (line.trim() === '') continue;
    changes.read(number, () => {
      const body = parseObject(line);
      written.push(body);
      return body;
    });
  }
  changes.check();
  return written;
}

/** The changes themselves. @throws as `readChangeLines`, with every change that is wrong. */
export function toChanges(written: readonly WrittenChange[]): readonly RouteChange[] {
  const changes = new ChangeReader('change');
  for (const [i, body] of written.entries()) changes.read(i + 1, () => body);
  changes.check();
  return changes.all;
}

/** Changes that are read one after the other. */
class ChangeReader {
  readonly all: RouteChange[] = [];
  private readonly noun: string;
  private readonly numberOf = new Map<string, number>();
  private readonly errors = new ErrorCollector();

  /** @param noun what is counted, for messages. */
  constructor(noun: string) {
    this.noun = noun;
  }

  /** Reads one; what is wrong with it is thrown by `check`. */
  read(number: number, bodyOf: () => WrittenChange): void {
    const { all, errors, noun, numberOf } = this;
    try {
      const change = readChange(bodyOf());
      const earlier = numberOf.get(change.pattern);
      if (earlier !== undefined) throw invalid(`${change.pattern} is changed by ${noun} ${earlier} already`);
      numberOf.set(change.pattern, number);
      all.push(change);
    } catch (error) {
      if (!(error instanceof HipacheError)) throw error;
      errors.add(invalid(`${noun} ${number}: ${error.message}`));
    }
  }

  check(): void {
    this.errors.check();
  }
}

function readChange(body: WrittenChange): RouteChange {
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

function parseObject(line: string): WrittenChange {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw invalid(`it is not JSON: ${(error as Error).message}`);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as WrittenChange;
  throw invalid('it is not a JSON object');
}

function invalid(problem: string): HipacheError {
  return new HipacheError('COMMAND_INVALID', problem);
}
