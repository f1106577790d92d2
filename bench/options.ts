import { parseArgs } from 'node:util';
import { checkoutNames, mainProxies, type ProxyName, productNames, proxyNames } from './proxies/proxy.ts';

export const help = `npm run bench -- [options]

Compares Hipache with nginx, HAProxy, Caddy and a proxy of npm, each on one core, the load and the backends on another.

  --short              fewer scenarios, proxies and rounds: 2 min 20 s
  --only a,b           only these scenarios
  --proxies a,b        only these proxies: ${productNames.join(', ')}; the last two take
                       part in small, body-64k, upload-64k and connections only, caddy also in move
  --against DIR|REV    measures another checkout in the same rounds, and shows the ratios of the pairs: a directory with
                       its own node_modules, or a revision with the same packages; other proxies only where named
  --rounds N           1 to 100; default 5, with --short 2
  --seconds N          of one measurement, 1 to 600; default 5, with --short 2
  --json FILE          writes the result
  --list               names the scenarios
  --compare A B        says what differs between two results by more than their noise
  --report A [B …]     writes docs/performance.md's tables and docs/performance.svg from results; a scenario that several
                       have is taken from the last of them
  --help
`;

export type Options =
  | { readonly kind: 'help' }
  | { readonly kind: 'list' }
  | { readonly kind: 'compare'; readonly before: string; readonly after: string }
  | { readonly kind: 'report'; readonly files: readonly [string, ...string[]] }
  | ({ readonly kind: 'run' } & RunOptions);

export interface RunOptions {
  readonly short: boolean;
  /** Names of scenarios, null for all of the form. */
  readonly only: readonly string[] | null;
  readonly proxies: readonly ProxyName[];
  /** Another checkout: a directory, or a revision. */
  readonly against: string | null;
  readonly rounds: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly json: string | null;
}

/** @throws where the command line is not as `help` says. */
export function readOptions(args: readonly string[]): Options {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h' },
      list: { type: 'boolean' },
      short: { type: 'boolean' },
      compare: { type: 'boolean' },
      report: { type: 'string' },
      only: { type: 'string' },
      proxies: { type: 'string' },
      against: { type: 'string' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      json: { type: 'string' },
    },
  });
  if (values.help) return { kind: 'help' };
  if (values.list) return { kind: 'list' };
  if (values.compare) {
    const [before, after, more] = positionals;
    if (before === undefined || after === undefined || more !== undefined) throw new Error('--compare takes two files');
    return { kind: 'compare', before, after };
  }
  if (values.report !== undefined) return { kind: 'report', files: [values.report, ...positionals] };
  if (values.against === '') throw new Error('--against takes a directory or a revision');
  if (positionals.length > 0) throw new Error(`what is "${positionals[0]}"?`);
  const short = values.short === true;
  return {
    kind: 'run',
    short,
    only: values.only?.split(',') ?? null,
    proxies: chooseProxies(readProxies(values.proxies), values.against !== undefined, short),
    against: values.against ?? null,
    rounds: readNumber('--rounds', values.rounds, 100) ?? (short ? 2 : 5),
    seconds: readNumber('--seconds', values.seconds, 600) ?? (short ? 2 : 5),
    warmUpSeconds: 1,
    json: values.json ?? null,
  };
}

function readProxies(text: string | undefined): readonly string[] | null {
  const names = text?.split(',') ?? null;
  const unknown = names?.find((name) => !productNames.some((known) => known === name));
  if (unknown !== undefined) throw new Error(`--proxies: "${unknown}" is none of ${productNames.join(', ')}`);
  return names;
}

/** In the order of their turns. */
function chooseProxies(named: readonly string[] | null, hasAgainst: boolean, short: boolean): readonly ProxyName[] {
  if (hasAgainst) return proxyNames.filter((name) => checkoutNames.includes(name) || named?.includes(name));
  const chosen = named ?? (short ? mainProxies : productNames);
  return productNames.filter((name) => chosen.includes(name));
}

function readNumber(option: string, text: string | undefined, max: number): number | null {
  if (text === undefined) return null;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > max) throw new Error(`${option}: not a number from 1 to ${max}`);
  return value;
}
