import { HipacheError } from '../base/errors.ts';
import { nearestWord } from '../base/nearest.ts';
import { problemsOf } from '../policy/read-options.ts';
import { weightMax } from '../routing/backend-url.ts';
import { parseRoutePattern } from '../routing/patterns.ts';

/** The schemes of backends that are containers. */
const schemes = ['http', 'https', 'h2c', 'h2'] as const;
type Scheme = (typeof schemes)[number];

/** Labels of one group, `hipache.host` or `hipache.NAME.host`: a port of a container, and the hosts that lead there. */
export interface LabelGroup {
  /** Empty for the labels without a name. */
  readonly name: string;
  /** Patterns in their stored form. */
  readonly hosts: readonly string[];
  /** Null: the only one that the container exposes. */
  readonly port: number | null;
  readonly scheme: Scheme;
  /** Null: the only one of the container. */
  readonly network: string | null;
  /** Whether the port that is published on the machine is used; null: as it turns out. */
  readonly published: boolean | null;
  /** The settings behind the URL, such as `#weight=2`. */
  readonly fragment: string;
  readonly options: Readonly<Record<string, string>>;
}

export interface ReadLabels {
  readonly groups: readonly LabelGroup[];
  /** Why there are no groups although there are labels. */
  readonly problems: readonly string[];
}

export const labelPrefix = 'hipache.';
/** Hosts of one container. */
const hostsMax = 100;
const words = ['host', 'port', 'scheme', 'network', 'published', 'weight', 'backup'] as const;
type Word = (typeof words)[number];
const optionWord = 'option';
const groupName = /^[a-z0-9][a-z0-9_-]{0,62}$/i;

/** Labels as they are written, by the last word of their names. */
interface WrittenGroup {
  readonly values: Map<Word, string>;
  readonly options: Map<string, string>;
}

/** Whether a container has labels for Hipache, right or wrong. */
export function hasLabels(labels: Readonly<Record<string, string>>): boolean {
  return Object.keys(labels).some((label) => label.startsWith(labelPrefix));
}

/**
 * Reads the labels of a container. One that is wrong keeps all of them from being used: without a misspelled password the host would
 * be open to everybody.
 */
export function readLabels(labels: Readonly<Record<string, string>>): ReadLabels {
  const problems: string[] = [];
  const written = new Map<string, WrittenGroup>();
  for (const [label, value] of Object.entries(labels).sort(([one], [other]) => (one < other ? -1 : 1))) {
    if (!label.startsWith(labelPrefix)) continue;
    const problem = place(label, value, written);
    if (problem !== null) problems.push(problem);
  }
  const common = written.get('')?.values;
  const groups: LabelGroup[] = [];
  for (const [name, group] of written) {
    if (name === '' && written.size > 1 && isCommon(group)) continue;
    const read = readGroup(name, group, common, problems);
    if (read !== null) groups.push(read);
  }
  const hosts = groups.flatMap((group) => group.hosts);
  const twice = hosts.find((host, at) => hosts.indexOf(host) !== at);
  if (twice !== undefined) problems.push(`the host ${twice} is named twice`);
  if (hosts.length > hostsMax) problems.push(`found ${hosts.length} hosts, allowed are ${hostsMax} for a container`);
  return problems.length === 0 ? { groups, problems } : { groups: [], problems };
}

/** Puts a label where it belongs. @returns what is wrong with its name; null if nothing is. */
function place(label: string, value: string, written: Map<string, WrittenGroup>): string | null {
  const [first = '', second, ...rest] = label.slice(labelPrefix.length).split('.');
  const [name, word, ...end] =
    isWord(first) || second === undefined ? ['', first, second, ...rest] : [first, second, ...rest];
  const group = written.get(name) ?? { values: new Map<Word, string>(), options: new Map<string, string>() };
  const [option, ...more] = end.filter((part) => part !== undefined);
  if (word === optionWord && option !== undefined && more.length === 0) group.options.set(option, value);
  else if (word !== optionWord && isWord(word) && option === undefined) group.values.set(word as Word, value.trim());
  else return unknownLabel(label, first, second, name, word);
  if (name !== '' && !groupName.test(name))
    return `${label}: the name ${JSON.stringify(name)} has other characters than letters, digits, _ and -`;
  written.set(name, group);
  return null;
}

function isWord(text: string): boolean {
  return text === optionWord || words.includes(text as Word);
}

function unknownLabel(label: string, first: string, second: string | undefined, name: string, word: string): string {
  const all = [...words, optionWord];
  if (word === optionWord)
    return `there is no label ${label}; an option is written as ${labelPrefix}option.requestsMax`;
  // The first word may be misspelled, where it looks like the name of a group.
  const near = second === undefined || !isWord(second) ? nearestWord(first, all) : null;
  if (near !== null && !isWord(first))
    return `there is no label ${label}; did you mean ${labelPrefix}${[near, second].filter(Boolean).join('.')}?`;
  const other = nearestWord(word, all);
  const prefix = name === '' ? labelPrefix : `${labelPrefix}${name}.`;
  if (other !== null && other !== word) return `there is no label ${label}; did you mean ${prefix}${other}?`;
  return `there is no label ${label}; there are ${all.map((each) => prefix + each).join(', ')}`;
}

/** Whether labels without a name say only what holds for the whole container. */
function isCommon({ options, values }: WrittenGroup): boolean {
  return options.size === 0 && [...values.keys()].every((word) => word === 'network' || word === 'published');
}

function readGroup(
  name: string,
  { options, values }: WrittenGroup,
  common: ReadonlyMap<Word, string> | undefined,
  problems: string[],
): LabelGroup | null {
  const prefix = name === '' ? labelPrefix : `${labelPrefix}${name}.`;
  const before = problems.length;
  const hosts = hostsOf(`${prefix}host`, values.get('host'), problems);
  const wrong = (word: Word, allowed: string): void => {
    problems.push(`${prefix}${word}: found ${JSON.stringify(values.get(word))}, allowed ${allowed}`);
  };
  const port = values.get('port');
  if (port !== undefined && !isPort(port)) wrong('port', '1 to 65535');
  const scheme = values.get('scheme') ?? 'http';
  if (!schemes.includes(scheme as Scheme)) wrong('scheme', schemes.join(', '));
  const weight = values.get('weight');
  if (weight !== undefined && !(/^[1-9]\d{0,3}$/.test(weight) && Number(weight) <= weightMax))
    wrong('weight', `1 to ${weightMax}`);
  for (const word of ['published', 'backup'] as const) {
    const value = values.get(word);
    if (value !== undefined && value !== 'true' && value !== 'false') wrong(word, 'true, false');
  }
  for (const [option, value] of options) {
    problems.push(...problemsOf(option, value).map((problem) => `${prefix}${optionWord}.${option}: ${problem}`));
  }
  if (problems.length > before) return null;
  const settings = [
    ...(weight === undefined ? [] : [`weight=${weight}`]),
    ...(values.get('backup') === 'true' ? ['backup'] : []),
  ];
  const published = values.get('published') ?? common?.get('published');
  return {
    name,
    hosts,
    port: port === undefined ? null : Number(port),
    scheme: scheme as Scheme,
    network: values.get('network') ?? common?.get('network') ?? null,
    published: published === undefined ? null : published === 'true',
    fragment: settings.length === 0 ? '' : `#${settings.join('&')}`,
    options: Object.fromEntries(options),
  };
}

function hostsOf(label: string, value: string | undefined, problems: string[]): string[] {
  const names = (value ?? '')
    .split(',')
    .map((host) => host.trim())
    .filter((host) => host !== '');
  if (names.length === 0) problems.push(`${label} is missing, and the other labels need it`);
  return names.flatMap((name) => {
    try {
      return [parseRoutePattern(name)];
    } catch (error) {
      if (!(error instanceof HipacheError)) throw error;
      problems.push(`${label}: ${error.message}`);
      return [];
    }
  });
}

function isPort(text: string): boolean {
  return /^[1-9]\d{0,4}$/.test(text) && Number(text) <= 65_535;
}
