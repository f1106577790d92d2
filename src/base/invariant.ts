/** An impossible state: an error in this program, not in its input. */
export class InvariantViolation extends Error {
  override readonly name = 'InvariantViolation';
}

/**
 * Checks a rule that must always hold; cheap enough for the hot path. A failure ends the connection concerned, like any
 * other exception there. It is logged and counted (`hipache_internal_errors_total`).
 * @param what the rule, as a statement: `a queued request has no connection`.
 */
export function invariant(condition: boolean, what: string): asserts condition {
  if (!condition) throw new InvariantViolation(`violated: ${what}`);
}
