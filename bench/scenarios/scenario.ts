import type { Fleet } from '../proxies/fleet.ts';
import type { ProxyName } from '../proxies/proxy.ts';
import type { RouteSet } from '../routes.ts';
import type { Sample } from '../sample.ts';
import type { Site } from '../site.ts';

/** What a scenario is given. */
export interface Context {
  readonly site: Site;
  readonly fleet: Fleet;
  /** Of one measurement, and of the load before it. Whole seconds. */
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly short: boolean;
  /** The proxies that take part, in the order of their turns. */
  readonly proxies: readonly ProxyName[];
  /** What other scenarios have measured so far. */
  samples(scenario: string, proxy: ProxyName): readonly Sample[];
}

export interface Scenario {
  readonly name: string;
  /** For the table: what is done, in a few words. */
  readonly title: string;
  /** Who can take part; every proxy where left out. */
  readonly proxies?: readonly ProxyName[];
  /** Measures once. */
  run(context: Context, proxy: ProxyName): Promise<Sample>;
}

/** Scenarios whose measurements take turns: what they have in common is compared. */
export interface Group {
  readonly scenarios: readonly Scenario[];
  /** Part of the short form. */
  readonly short: boolean;
  /** Measured once, whatever `--rounds` says. */
  readonly once?: boolean;
  /** Whose proxies end when the group is done. */
  readonly routes?: readonly RouteSet[];
}
