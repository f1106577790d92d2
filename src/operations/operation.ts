/** An operation whose arguments have been checked: what is left to do with the part of the store that it works on. */
export type Operation<Target, Result> = (target: Target) => Promise<Result>;
