import type { RecordProblem } from '../routing/frontend.ts';

/** Problems that are remembered as reported. When there are more, the oldest may be reported again. */
const rememberedMax = 10_000;

/** Reports the problems of records, each problem of a pattern once, however often the record is read. */
export class ReportedProblems {
  private readonly report: (pattern: string, problem: RecordProblem) => void;
  private readonly remembered = new Set<string>();

  constructor(report: (pattern: string, problem: RecordProblem) => void) {
    this.report = report;
  }

  reportAll(pattern: string, problems: readonly RecordProblem[]): void {
    for (const problem of problems) {
      const key = `${pattern} ${problem.message}`;
      if (this.remembered.has(key)) continue;
      if (this.remembered.size >= rememberedMax) {
        const [oldest = ''] = this.remembered;
        this.remembered.delete(oldest);
      }
      this.remembered.add(key);
      this.report(pattern, problem);
    }
  }
}
