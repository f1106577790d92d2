/** Runs `action` after `delayMs` unless the returned function is called first. */
export type SetTimer = (delayMs: number, action: () => void) => () => void;

/** `SetTimer` of the real time. */
export function setRealTimer(delayMs: number, action: () => void): () => void {
  const timer = setTimeout(action, delayMs);
  return () => clearTimeout(timer);
}

/** The outcome of `promise`, if it comes in time. @throws `late()` after `waitMs`; what comes then is dropped. */
export async function within<Result>(promise: Promise<Result>, waitMs: number, late = lateError): Promise<Result> {
  const timeout = Promise.withResolvers<never>();
  const timer = setTimeout(() => timeout.reject(late(waitMs)), waitMs);
  try {
    return await Promise.race([promise, timeout.promise]);
  } finally {
    clearTimeout(timer);
  }
}

function lateError(waitMs: number): Error {
  return new Error(`no answer within ${waitMs} ms`);
}
