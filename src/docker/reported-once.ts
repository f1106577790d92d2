/** Problems by what they concern, each of which is reported when it comes, and again only after it has gone. */
export class ReportedOnce {
  private readonly write: (what: string, problem: string) => void;
  private readonly known = new Map<string, string>();

  constructor(write: (what: string, problem: string) => void) {
    this.write = write;
  }

  /** @param problems those that there are. @param covers whether they are all about this; others stay as they were. */
  report(problems: ReadonlyMap<string, string>, covers: (what: string) => boolean): void {
    for (const what of [...this.known.keys()]) if (covers(what) && !problems.has(what)) this.known.delete(what);
    for (const [what, problem] of problems) {
      if (this.known.get(what) === problem) continue;
      this.known.set(what, problem);
      this.write(what, problem);
    }
  }
}
