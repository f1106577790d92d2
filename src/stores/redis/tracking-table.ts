import type { RedisConnection } from './connection.ts';

const setting = 'tracking-table-max-keys';

/**
 * Why Redis reports keys that have not changed: it remembers which keys were read, in a table that all its clients share.
 * If that is full, it forgets any of them, and reports it as changed.
 * @param servers those of the store; the user may lack the right to ask.
 * @param keys how many keys this process reads at each.
 */
export async function whyUnchanged(servers: readonly Pick<RedisConnection, 'send'>[], keys: number): Promise<string> {
  const shares = `this worker alone reads about ${keys} keys, also those of wildcards and of names without a route`;
  for (const server of servers) {
    const [config, stats] = await server.send([
      ['CONFIG', 'GET', setting],
      ['INFO', 'stats'],
    ]);
    const max = Array.isArray(config) && config.length === 2 ? Number(config[1]) : null;
    const used =
      typeof stats === 'string' ? Number(/^tracking_total_keys:(\d+)/m.exec(stats)?.[1] ?? Number.NaN) : null;
    if (max === null) {
      return `${setting} of Redis is probably too small (this user may not read it): ${shares}; raise it`;
    }
    // Redis trims the table to its bound ten times a second.
    if (max > 0 && (keys > max || used === null || used >= max * 0.9)) {
      return `${setting} of Redis is too small: it is ${max}, and ${shares}; raise it with CONFIG SET and in redis.conf`;
    }
  }
  return 'another program writes the same content again, or writes equal keys of another database of this server';
}
