/** Runs `action` after `delayMs` unless the returned function is called first. */
export type SetTimer = (delayMs: number, action: () => void) => () => void;

/** `SetTimer` of the real time. */
export function setRealTimer(delayMs: number, action: () => void): () => void {
  const timer = setTimeout(action, delayMs);
  return () => clearTimeout(timer);
}
