import { HipacheError } from './errors.ts';

/** Collects operating errors of things that do not depend on each other, so that all are reported at once. */
export class ErrorCollector {
  private readonly errors: HipacheError[] = [];

  /** Keeps an error, or the errors of another collection. @throws whatever is no operating error. */
  add(error: unknown): void {
    const errors = operatingErrorsOf(error);
    if (errors === null) throw error;
    this.errors.push(...errors);
  }

  /** The result of `task`; null if it throws an operating error, which is kept. */
  async take<Result>(task: () => Result | Promise<Result>): Promise<Result | null> {
    try {
      return await task();
    } catch (error) {
      this.add(error);
      return null;
    }
  }

  /** @throws HipacheError where there is one, AggregateError where there are several. */
  check(): void {
    const [first, ...others] = this.errors;
    if (first === undefined) return;
    if (others.length === 0) throw first;
    throw new AggregateError(this.errors, this.errors.map(({ message }) => message).join('; '));
  }
}

/** The operating errors behind what was thrown; null where it is something else. */
export function operatingErrorsOf(error: unknown): readonly HipacheError[] | null {
  const errors: readonly unknown[] = error instanceof AggregateError ? error.errors : [error];
  return errors.every((one) => one instanceof HipacheError) ? errors : null;
}
