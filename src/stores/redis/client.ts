import { RedisClient, type RedisClientOptions, type RespVersions } from '@redis/client';

type None = Record<never, never>;

/**
 * A client of the library, not connected yet, that has no methods for single commands: `sendCommand` sends all of them.
 *
 * The library's `createClient` builds a class with methods for all 817 commands whenever its options differ from those of
 * the last client. That takes some 100 ms of one core, in which a worker that looks for its store again serves nobody.
 */
export function newClient(options: RedisClientOptions<None, None, None, RespVersions>): unknown {
  return new RedisClient<None, None, None, RespVersions, None>({
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: 'disabled',
    ...options,
  });
}
