import { isIP } from 'node:net';

/** glibc uses at most this many. */
const serversMax = 3;
const ndotsMax = 15;

/** The parts of resolv.conf(5) that decide whom to ask for what. */
export interface ResolvConf {
  /** Addresses. Never empty: this machine, if the file names none. */
  readonly servers: readonly string[];
  /** Domains without a dot at either end. */
  readonly search: readonly string[];
  /** A name with fewer dots is tried in the search list first. */
  readonly ndots: number;
}

/** Parses resolv.conf. @param hostname of this machine: its domain is the search list of a file without one. */
export function parseResolvConf(text: string, hostname: string): ResolvConf {
  const servers: string[] = [];
  let search: readonly string[] | null = null;
  let ndots = 1;
  for (const line of text.split('\n')) {
    // A keyword starts in the first column; a blank follows it.
    const [keyword = '', ...values] = line.replace(/(?:^|\s)[#;].*$/, '').split(/\s+/);
    const [first] = values;
    if (keyword === 'nameserver' && first !== undefined && isIP(first) !== 0) servers.push(first);
    // The last of several lines counts.
    if (keyword === 'search') search = domains(values);
    if (keyword === 'domain') search = domains(values.slice(0, 1));
    if (keyword === 'options') ndots = ndotsOf(values) ?? ndots;
  }
  return {
    servers: servers.length === 0 ? ['127.0.0.1'] : servers.slice(0, serversMax),
    search: search ?? domains([hostname.replace(/^[^.]*\.?/, '')]),
    ndots,
  };
}

/**
 * The names to ask for, in this order, until one has addresses: as glibc's res_nsearch does. A dot at the end makes a
 * name absolute: it is then the only one.
 */
export function namesToTry(name: string, { search, ndots }: ResolvConf): readonly string[] {
  if (name.endsWith('.')) return [name.slice(0, -1)];
  const inDomains = search.map((domain) => (domain === '' ? name : `${name}.${domain}`));
  const dots = name.split('.').length - 1;
  const names = dots >= ndots ? [name, ...inDomains] : [...inDomains, name];
  return [...new Set(names)];
}

/** A domain of "." is the root: the name as it is. */
function domains(values: readonly string[]): readonly string[] {
  return values
    .filter((value) => value !== '')
    .map((value) => value.toLowerCase().replace(/\.$/, ''))
    .filter((value, index, all) => all.indexOf(value) === index && !value.startsWith('.') && !value.includes('..'));
}

function ndotsOf(values: readonly string[]): number | null {
  const option = values.findLast((value) => /^ndots:\d+$/.test(value));
  return option === undefined ? null : Math.min(ndotsMax, Number(option.slice('ndots:'.length)));
}
