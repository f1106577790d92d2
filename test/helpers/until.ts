import { setTimeout as delay } from 'node:timers/promises';

/** Waits until `condition` holds. @throws after `forMs` (default 20 s), naming what was awaited. */
export async function until(what: string, condition: () => boolean | Promise<boolean>, forMs = 20_000): Promise<void> {
  const end = Date.now() + forMs;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`timed out waiting for: ${what}`);
    await delay(5);
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
    return same >= 20;
  });
  return last;
}
