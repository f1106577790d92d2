import type { ConformanceCase } from './case.ts';
import { judge, type Verdict } from './judge.ts';
import type { ComparedProxy } from './proxies.ts';
import { type Observation, runCase } from './run-case.ts';

/** What one proxy made of one case, and what is to be said of it. */
export interface CaseResult {
  readonly seen: Observation;
  readonly verdict: Verdict;
}

/** By the id of the case. */
export type ProxyResults = ReadonlyMap<string, CaseResult>;

/** How long a proxy may take for an answer, in ms. Some never answer some of the cases. */
const answerMsMaxDefault = 2000;

/** Runs the cases one after the other. @throws if the proxy ends. */
export async function runAll(
  all: readonly ConformanceCase[],
  proxy: ComparedProxy,
  answerMsMax = answerMsMaxDefault,
): Promise<ProxyResults> {
  const results = new Map<string, CaseResult>();
  for (const one of all) {
    const seen = await runCase(one, proxy, answerMsMax);
    const problem = proxy.problem();
    if (problem !== null) throw new Error(`${one.id}: ${problem}`);
    results.set(one.id, { seen, verdict: judge(one, seen) });
  }
  return results;
}
