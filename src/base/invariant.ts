/** Something that must never be has happened: an error in this program, not in what it was given. */
export class InvariantViolation extends Error {
  override readonly name = 'InvariantViolation';
}

/**
 * Checks what must always hold; cheap enough for the main path. A failure ends the connection that it concerns, as any
 * exception there does; it is logged and counted (`hipache_internal_errors_total`).
 * @param what the rule, as a statement: `a queued request has no connection`.
 */
export function invariant(condition: boolean, what: string): asserts condition {
  if (!condition) throw new InvariantViolation(`violated: ${what}`);
}
