/** Runs `action` after `delayMs`, unless the returned function is called first. */
export type SetTimer = (delayMs: number, action: () => void) => () => void;

/** `SetTimer` in real time. */
export function setRealTimer(delayMs: number, action: () => void): () => void {
  const timer = setTimeout(action, delayMs);
  return () => clearTimeout(timer);
}

/** The result of `promise` if it settles in time. @throws `late()` after `waitMs`; a later result is dropped. */
export async function within<Result>(
  promise: Promise<Result>,
  waitMs: number,
  late: (waitMs: number) => Error = lateError,
): Promise<Result> {
  const timeout = Promise.withResolvers<never>();
  const timer = setTimeout(() => timeout.reject(late(waitMs)), waitMs);
  try {
    return await Promise.race([promise, timeout.promise]);
  } finally {
    clearTimeout(timer);
  }
}

function lateError(waitMs: number): Error {
  return new Error(`no response within ${waitMs} ms`);
}
