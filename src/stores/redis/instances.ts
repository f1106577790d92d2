import type { StoredInstance } from '../contract.ts';
import type { RedisCommand } from './connection.ts';
import { isWrongType } from './errors.ts';
import type { RedisKeys } from './keys.ts';

/*
 * An instance is a hash that expires. A sorted set has the ids, since to find the hashes, Redis would have to look at all
 * of its keys.
 */

export function writeInstance(
  keys: RedisKeys,
  instance: string,
  fields: Readonly<Record<string, string>>,
  ttlMs: number,
  nowMs: number,
): RedisCommand[] {
  const key = keys.instance(instance);
  return [
    ['DEL', key],
    ['HSET', key, ...Object.entries(fields).flat()],
    ['EXPIRE', key, String(Math.ceil(ttlMs / 1000))],
    ['ZADD', keys.instances, String(nowMs + ttlMs), instance],
    ['ZREMRANGEBYSCORE', keys.instances, '-inf', `(${nowMs}`],
  ];
}

export function removeInstance(keys: RedisKeys, instance: string): RedisCommand[] {
  return [
    ['DEL', keys.instance(instance)],
    ['ZREM', keys.instances, instance],
  ];
}

/** @param hashes the replies to HGETALL, in the order of `ids`; empty for an instance that has been forgotten. */
export function toInstances(ids: readonly string[], hashes: readonly unknown[]): StoredInstance[] {
  return ids.flatMap((instance, i) => {
    const hash = hashes[i];
    if (isWrongType(hash) || !Array.isArray(hash) || hash.length === 0) return [];
    const pairs = Array.from({ length: hash.length >> 1 }, (_, at) => [String(hash[2 * at]), String(hash[2 * at + 1])]);
    return [{ instance, fields: Object.fromEntries(pairs) }];
  });
}
