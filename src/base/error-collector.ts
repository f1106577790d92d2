import { HipacheError } from './errors.ts';

/** Collects the operating errors of independent tasks, so that all are reported at once. */
export class ErrorCollector {
  private readonly errors: HipacheError[] = [];

  /** Adds an error, or all errors of another collection. @throws any error that is not an operating error. */
  add(error: unknown): void {
    const errors = operatingErrorsOf(error);
    if (errors === null) throw error;
    this.errors.push(...errors);
  }

  /** The result of `task`; null if it throws an operating error, which is collected. */
  async take<Result>(task: () => Result | Promise<Result>): Promise<Result | null> {
    try {
      return await task();
    } catch (error) {
      this.add(error);
      return null;
    }
  }

  /** @throws HipacheError if one error was collected, AggregateError if there were several. */
  check(): void {
    const [first, ...others] = this.errors;
    if (first === undefined) return;
    if (others.length === 0) throw first;
    throw new AggregateError(this.errors, this.errors.map(({ message }) => message).join('; '));
  }
}

/** The operating errors in a thrown value; null if it contains anything else. */
export function operatingErrorsOf(error: unknown): readonly HipacheError[] | null {
  const errors: readonly unknown[] = error instanceof AggregateError ? error.errors : [error];
  return errors.every((one) => one instanceof HipacheError) ? errors : null;
}
