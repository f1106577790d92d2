import type { Clock } from '../base/clock.ts';
import type { Frontend, RecordProblem } from '../routing/frontend.ts';
import { buildFrontend } from '../routing/record.ts';
import { hasRoute, type StoredRoute } from '../stores/contract.ts';
import { HostPolicies, isSealed } from './host-policies.ts';
import { ReportedProblems } from './reported-problems.ts';
import type { RouteCacheOptions } from './route-cache-options.ts';

export interface FrontendBuilderOptions
  extends Pick<RouteCacheOptions, 'policies' | 'onProblem' | 'onDraining' | 'onResolved'> {
  readonly clock: Pick<Clock, 'epochMs'>;
  /** Wildcard patterns whose options are kept. */
  readonly wildcardsMax: number;
  /** The frontends that have objects. */
  frontends(): readonly Frontend[];
  /** Options that hosts inherit were forgotten for want of room: everything has to be verified. */
  onForgotten(): void;
}

/** Makes frontends of the records that were read, with their policies, and reports what cannot be used. */
export class FrontendBuilder {
  /** Null if every host has the policy of the data plane. */
  readonly policies: HostPolicies | null;
  /** Parts of records that cannot be used, each counted once. */
  problems = 0;
  private readonly clock: Pick<Clock, 'epochMs'>;
  private readonly reported: ReportedProblems;
  private readonly onDraining: NonNullable<RouteCacheOptions['onDraining']>;

  constructor(options: FrontendBuilderOptions) {
    const {
      clock,
      frontends,
      onDraining,
      onForgotten,
      onProblem,
      onResolved = ignore,
      policies,
      wildcardsMax,
    } = options;
    this.clock = clock;
    this.onDraining = onDraining ?? ignore;
    this.reported = new ReportedProblems((pattern, problem) => {
      this.problems++;
      onProblem?.(pattern, problem);
    });
    const onProblems = (pattern: string, problems: readonly RecordProblem[]) =>
      this.reported.reportAll(pattern, problems);
    const events = { frontends, onProblems, onForgotten, onResolved };
    this.policies = policies === undefined ? null : new HostPolicies(policies, wildcardsMax, events);
  }

  /** Null for a record without a route. @param sequence see `buildFrontend`. */
  build(pattern: string, record: StoredRoute | null, previous: Frontend | null, sequence: number): Frontend | null {
    if (!hasRoute(record)) return null;
    const { policies } = this;
    const { diagnostics = [], options } = record;
    const wrong = options === undefined || policies === null ? [] : policies.problemsOf(options);
    const messages = wrong.map(({ message }) => message);
    const source = wrong.length === 0 ? record : { ...record, diagnostics: [...diagnostics, ...messages] };
    const frontend = buildFrontend(pattern, source, previous, sequence, this.clock.epochMs());
    policies?.resolve(frontend, previous === null || isSealed(previous));
    this.reported.reportAll(pattern, frontend.problems);
    if (frontend.draining.length > 0) this.onDraining(frontend);
    return frontend;
  }
}

/** Requests that wait hear that their record was read. @param frontend null if it is gone. */
export function tellWaiting(frontend: Frontend | null, former: Frontend | null): void {
  if (frontend === null) former?.load.waiting?.gone();
  else frontend.load.waiting?.changed(frontend);
}

function ignore(): void {}
