import { BoundedMemo } from '../base/bounded-memo.ts';
import type { HostPolicy } from '../policy/host-policy.ts';
import { pathsOption } from '../policy/path-types.ts';
import type { OptionLayer } from '../policy/read-options.ts';
import type { Frontend, RecordProblem } from '../routing/frontend.ts';
import { coveringPatterns, covers, isWildcard, pathOf } from '../routing/patterns.ts';
import type { OptionTexts } from '../stores/contract.ts';

/** Makes policies of options. */
export interface PolicySource {
  /** @param layers the options of the route's own pattern, then those of the wildcard patterns that cover it. */
  compile(layers: readonly OptionLayer[]): HostPolicy;
  /** The faults of the options of one pattern. */
  problemsOf(options: OptionTexts): readonly string[];
}

export interface HostPoliciesEvents {
  /** The frontends that have objects. The others get their policy when their objects are made. */
  frontends(): readonly Frontend[];
  /** Faults of the options of a wildcard pattern. */
  onProblems(pattern: string, problems: readonly RecordProblem[]): void;
  /** Options of a wildcard pattern were forgotten for want of room: everything has to be verified. */
  onForgotten(): void;
  /** A frontend has got its policy, maybe the same as before. */
  onResolved?(frontend: Frontend): void;
}

/** Clients can name as many domains as they like, whose patterns may not be readable. */
const owedMax = 10_000;
/** Sets of wildcard patterns whose policies are remembered, and the characters of their names. */
const inheritedMax = 10_000;
const inheritedCharsMax = 1_000_000;
const noOptions: OptionTexts = new Map();
const noLayers: readonly OptionLayer[] = [];
/** The policy of a frontend whose wildcards have not all been read: it must not serve, since they may say who may see it. */
const sealed = {} as HostPolicy;
/** Wildcards that are being read for the first time. With more, a reading is not waited for by other requests. */
const unknownMax = 100_000;

/** Whether requests must wait until the options that the frontend inherits are known. */
export function isSealed(frontend: Frontend): boolean {
  return frontend.policy === sealed;
}

/**
 * The policies of frontends. A host inherits options from the wildcard patterns that cover it, which may have no route, and
 * a path from its host. So the options of every wildcard pattern that was read, and of every host with paths, are kept here,
 * where no use of other hosts pushes them out.
 */
export class HostPolicies {
  private readonly source: PolicySource;
  private readonly wildcardsMax: number;
  private readonly events: HostPoliciesEvents;
  /** The options of wildcard patterns that have some, and of hosts whose paths have routes of their own. */
  private readonly byWildcard = new Map<string, OptionTexts>();
  /** Wildcard patterns that nothing is known of yet, because they are being read, or could not be. */
  private readonly unknown = new Set<string>();
  /** Wildcard patterns whose options have changed, and have not been read since. */
  private readonly owed = new Set<string>();

  /** Policies of hosts without options of their own, by the wildcard patterns that cover them. */
  private inherited = new BoundedMemo<HostPolicy>(inheritedMax, inheritedCharsMax);

  /** @param wildcardsMax wildcard patterns whose options are kept. */
  constructor(source: PolicySource, wildcardsMax: number, events: HostPoliciesEvents) {
    this.source = source;
    this.wildcardsMax = wildcardsMax;
    this.events = events;
  }

  /** The options of a wildcard pattern have changed, or could not be read. They are owed until `learn`. */
  owe(pattern: string): void {
    if (this.owed.size < owedMax) this.owed.add(pattern);
  }

  /** A wildcard pattern is going to be read of which nothing is known. */
  expect(pattern: string): void {
    if (!this.byWildcard.has(pattern) && this.unknown.size < unknownMax) this.unknown.add(pattern);
  }

  isOwed(pattern: string): boolean {
    return this.owed.has(pattern);
  }

  /** Whether the pattern had options that others inherit when it was read last. */
  has(pattern: string): boolean {
    return this.byWildcard.has(pattern);
  }

  /** A pattern was read. The hosts that a wildcard covers get its options, the paths of a host too. */
  learn(pattern: string, options: OptionTexts = noOptions): void {
    if (!isWildcard(pattern) && !options.has(pathsOption) && !this.has(pattern)) return;
    this.owed.delete(pattern);
    const wasUnknown = this.unknown.delete(pattern);
    const isChanged = !isSame(this.byWildcard.get(pattern) ?? noOptions, options);
    if (isChanged) {
      this.keep(pattern, isWildcard(pattern) || options.has(pathsOption) ? options : noOptions);
      if (isWildcard(pattern)) this.events.onProblems(pattern, this.problemsOf(options));
    }
    if (isChanged || wasUnknown) this.resolveCovered(pattern);
  }

  /** A wildcard pattern cannot be read, and nobody knows of options of it: there are none. */
  presume(pattern: string): void {
    if (this.unknown.delete(pattern)) this.resolveCovered(pattern);
  }

  /**
   * Gives the frontend the policy that its options and those of the wildcard patterns make.
   * @param maySeal whether it must not serve before all of them are known. One that serves already goes on.
   */
  resolve(frontend: Frontend, maySeal = true): void {
    const { options, pattern } = frontend;
    // A path was found by its host, which was not sealed.
    const isPath = pattern.includes('/');
    if (
      maySeal &&
      !isPath &&
      this.unknown.size > 0 &&
      coveringPatterns(pattern).some((wildcard) => this.unknown.has(wildcard))
    ) {
      frontend.policy = sealed;
      return;
    }
    const inherited = this.byWildcard.size === 0 ? noLayers : this.inheritedBy(pattern);
    if (options === null) frontend.policy = this.policyBy(pattern, inherited);
    else frontend.policy = this.source.compile([{ pattern, options }, ...inherited]);
    this.events.onResolved?.(frontend);
  }

  /** The policy of a host without a route, or of `*`, by the wildcard options that are known; null if none hold for it. */
  withoutRoute(host: string): HostPolicy | null {
    if (this.byWildcard.size === 0) return null;
    return this.policyBy(host, host === '*' ? this.layersOf([host]) : this.inheritedBy(host));
  }

  problemsOf(options: OptionTexts): readonly RecordProblem[] {
    return this.source.problemsOf(options).map((message) => ({ message }));
  }

  private keep(pattern: string, options: OptionTexts): void {
    this.inherited = new BoundedMemo(inheritedMax, inheritedCharsMax);
    this.byWildcard.delete(pattern);
    if (options.size > 0) this.byWildcard.set(pattern, options);
    if (this.byWildcard.size > this.wildcardsMax) {
      const [oldest = ''] = this.byWildcard.keys();
      this.byWildcard.delete(oldest);
      this.events.onForgotten();
    }
  }

  private resolveCovered(pattern: string): void {
    // One that serves goes on, also while another wildcard is unknown.
    for (const frontend of this.events.frontends())
      if (covers(pattern, frontend.pattern)) this.resolve(frontend, isSealed(frontend));
  }

  /** That of all hosts, or of all paths with the same prefix, that have no options of their own and inherit these; null for none. */
  private policyBy(pattern: string, inherited: readonly OptionLayer[]): HostPolicy | null {
    if (inherited.length === 0) return null;
    // The names alone are compared, because a value may be as long as a page.
    const key = [pathOf(pattern), ...inherited.map((layer) => layer.pattern)].join(' ');
    return this.inherited.get(key, () => this.source.compile([{ pattern, options: noOptions }, ...inherited]));
  }

  private inheritedBy(pattern: string): OptionLayer[] {
    return this.layersOf(coveringPatterns(pattern));
  }

  private layersOf(wildcards: readonly string[]): OptionLayer[] {
    return wildcards.flatMap((wildcard) => {
      const options = this.byWildcard.get(wildcard);
      return options === undefined ? [] : [{ pattern: wildcard, options }];
    });
  }
}

function isSame(one: OptionTexts, other: OptionTexts): boolean {
  return one.size === other.size && [...other].every(([name, text]) => one.get(name) === text);
}
