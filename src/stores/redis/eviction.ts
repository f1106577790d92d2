import type { RedisCommand } from './connection.ts';

/**
 * Why Redis may remove records by itself, for the log; null if it does not, or does not say. With one of the `allkeys-`
 * policies it removes any key once its memory is used up.
 * @param send as `RedisConnection.send`; the user may lack the right to ask.
 */
export async function whyEvicted(
  send: (commands: readonly RedisCommand[]) => Promise<readonly unknown[]>,
): Promise<string | null> {
  const [memory] = await send([['INFO', 'memory']]);
  if (typeof memory !== 'string') return null;
  const policy = /^maxmemory_policy:(allkeys-\S+)/m.exec(memory)?.[1];
  const bytes = Number(/^maxmemory:(\d+)/m.exec(memory)?.[1] ?? 0);
  if (policy === undefined || bytes === 0) return null;
  return `its maxmemory-policy is ${policy}, with which it removes routes once its maxmemory is used up: set it to noeviction`;
}
