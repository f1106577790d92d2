import { setTimeout as delay } from 'node:timers/promises';

/**
 * Waits until `condition` holds. It looks every 5 ms first and every 50 ms later: a look may cost the processes under test
 * more than they do otherwise.
 * @throws after `forMs` (default 60 s), naming what was awaited.
 */
export async function until(what: string, condition: () => boolean | Promise<boolean>, forMs = 60_000): Promise<void> {
  const end = Date.now() + forMs;
  let pauseMs = 5;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`timed out waiting for: ${what}`);
    await delay(pauseMs);
    pauseMs = Math.min(pauseMs * 1.2, 50);
  }
}

/** Waits until the result of `measure` stays the same for a while: nothing moves any more. */
export async function untilStill(what: string, measure: () => number): Promise<number> {
  let last = measure();
  let same = 0;
  await until(what, () => {
    const now = measure();
    same = now === last ? same + 1 : 0;
    last = now;
    return same >= 10;
  });
  return last;
}
