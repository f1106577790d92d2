import type { RedisServer } from '../../../test/helpers/redis-server.ts';
import type { StoreLocation } from '../contract.suite.ts';
import { openRedis, type RedisStoreOptions } from './redis-store.ts';

/** The rights that docs/redis.md names for reading and writing. */
export const writerRights =
  '+ping +select +client|tracking +lrange +hgetall +hmget +get +smembers +pttl +scan +zrange +zadd +zrem +zremrangebyscore +watch +unwatch +multi ' +
  '+exec +discard +incr +del +exists +rpush +lset +lrem +hset +hdel +hkeys +hexists +pexpireat +sadd +srem +expire +publish ' +
  '~frontend:* ~down:* ~dead:* ~options:* ~tls:* ~hipache:* %R~hchecker_ping &dead';

interface LocationOptions {
  readonly prefix?: string;
  /** Arguments of redis-cli: the database, a user. */
  readonly cli?: readonly string[];
  readonly store?: RedisStoreOptions;
  /** Where is written by hand; default: `server`. */
  readonly primary?: RedisServer;
  dispose?(): Promise<void>;
}

/** A place for the contract's suite on a server that runs. */
export function redisLocation(
  server: RedisServer,
  urls: readonly string[],
  options: LocationOptions = {},
): StoreLocation {
  const { prefix = '', cli = [], store, primary = server } = options;
  const key = (record: string, pattern: string) => `${prefix}${record}:${pattern}`;
  const run = async (...args: readonly string[]): Promise<void> => void (await primary.cli(...cli, ...args));
  const seen = async (): Promise<void> => {
    if (primary !== server) await primary.cli('wait', '1', '5000');
  };
  return {
    open: () => openRedis(urls, store),
    async writeRaw(pattern, record) {
      await run('del', key('frontend', pattern));
      await run('rpush', key('frontend', pattern), ...record.map(String));
      await seen();
    },
    oddElements: false,
    changes: 'push',
    writeBroken: [
      async (pattern) => {
        await run('del', key('frontend', pattern));
        await run('set', key('frontend', pattern), '["id", "http://a:1"]');
        await seen();
      },
      async (pattern) => {
        await run('del', key('frontend', pattern));
        await run('hset', key('frontend', pattern), 'id', 'http://a:1');
        await seen();
      },
    ],
    writeBrokenCertificate: [
      async (pattern) => {
        await run('del', key('tls', pattern));
        await run('set', key('tls', pattern), 'text');
        await seen();
      },
      async (pattern) => {
        await run('del', key('tls', pattern));
        await run('hset', key('tls', pattern), 'certificate', 'alone');
        await seen();
      },
      async (pattern) => {
        await run('del', key('tls', pattern));
        await run('hset', key('tls', pattern), 'key', 'alone');
        await seen();
      },
    ],
    async writeRawOption(pattern, name, value) {
      await run('hset', key('options', pattern), name, value);
      await seen();
    },
    writeBrokenOptions: [
      async (pattern) => {
        await run('set', key('options', pattern), '{"balance": "random"}');
        await seen();
      },
    ],
    async dispose() {
      await options.dispose?.();
      await server.remove();
    },
  };
}
