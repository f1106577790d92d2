import { setTimeout as delay } from 'node:timers/promises';

/** Waits until `condition` holds. @throws after `forMs` (default 20 s), naming what was waited for. */
export async function until(what: string, condition: () => boolean | Promise<boolean>, forMs = 20_000): Promise<void> {
  const end = Date.now() + forMs;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`waited in vain for: ${what}`);
    await delay(5);
  }
}
