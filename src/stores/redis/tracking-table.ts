import type { RedisCommand } from './connection.ts';

const setting = 'tracking-table-max-keys';

/**
 * Why Redis reports keys that have not changed: it remembers which keys were read, in a table that all its clients share.
 * If that is full, it forgets any of them, and reports it as changed.
 * @param send as `RedisConnection.send`; the user may lack the right to ask.
 * @param keys how many keys this process reads.
 */
export async function whyUnchanged(
  send: (commands: readonly RedisCommand[]) => Promise<readonly unknown[]>,
  keys: number,
): Promise<string> {
  const [config, stats] = await send([
    ['CONFIG', 'GET', setting],
    ['INFO', 'stats'],
  ]);
  const max = Array.isArray(config) && config.length === 2 ? Number(config[1]) : null;
  const used = typeof stats === 'string' ? Number(/^tracking_total_keys:(\d+)/m.exec(stats)?.[1] ?? Number.NaN) : null;
  const shares = `this worker alone reads about ${keys} keys, also those of wildcards and of names without a route`;
  if (max === null) {
    return `${setting} of Redis is probably too small (this user may not read it): ${shares}; raise it`;
  }
  // Redis trims the table to its bound ten times a second.
  if (max > 0 && (keys > max || used === null || used >= max * 0.9)) {
    return `${setting} of Redis is too small: it is ${max}, and ${shares}; raise it with CONFIG SET and in redis.conf`;
  }
  return 'another program writes the same content again, or writes equal keys of another database of this server';
}
