import type { Frontend, RecordProblem } from '../routing/frontend.ts';

/** Problems that are remembered as reported. When there are more, the oldest may be reported again. */
const rememberedMax = 10_000;

/** Reports the problems of records, each problem of a pattern once, however often the record is read. */
export class ReportedProblems {
  private readonly report: (pattern: string, problem: RecordProblem) => void;
  private readonly remembered = new Set<string>();

  constructor(report: (pattern: string, problem: RecordProblem) => void) {
    this.report = report;
  }

  reportAll(frontend: Frontend): void {
    for (const problem of frontend.problems) {
      const key = `${frontend.pattern} ${problem.message}`;
      if (this.remembered.has(key)) continue;
      if (this.remembered.size >= rememberedMax) {
        const [oldest = ''] = this.remembered;
        this.remembered.delete(oldest);
      }
      this.remembered.add(key);
      this.report(frontend.pattern, problem);
    }
  }
}
