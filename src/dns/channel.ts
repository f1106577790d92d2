import { Resolver } from 'node:dns';
import type { Family } from './answer.ts';

/** The result of one query: addresses, or c-ares' code of a failure. */
export type FamilyResult =
  | { readonly addresses: readonly string[]; readonly ttlSeconds: number }
  | { readonly code: string };

/** Queries to one name server that end together. */
export interface DnsChannel {
  /** Calls `done` once, never before it returns. */
  ask(name: string, family: Family, done: (result: FamilyResult) => void): void;
  /** Ends its queries; they may still call `done`. */
  cancel(): void;
}

/** Opens a channel to a name server: `ip`, `ip:port` or `[ip6]:port`. Never throws: a failure is that of its queries. */
export type OpenChannel = (server: string, timeoutMs: number) => DnsChannel;

/**
 * A c-ares channel of its own: 45 µs, a socket while a query is under way, no thread. Only so does `cancel` end the
 * queries of one lookup alone. c-ares sends a query once here (`tries`) and again over TCP if the answer is truncated.
 */
export const openAresChannel: OpenChannel = (server, timeoutMs) => {
  let resolver: Resolver;
  try {
    resolver = new Resolver({ timeout: Math.ceil(timeoutMs), tries: 1 });
    resolver.setServers([server]);
  } catch (error) {
    return failedChannel(codeOf(error));
  }
  return {
    ask: (name, family, done) => {
      const finish = (error: Error | null, records: readonly TtlRecord[] | undefined): void =>
        done(error === null ? resultOf(records ?? []) : { code: codeOf(error) });
      try {
        if (family === 4) resolver.resolve4(name, { ttl: true }, finish);
        else resolver.resolve6(name, { ttl: true }, finish);
      } catch (error) {
        queueMicrotask(() => done({ code: codeOf(error) }));
      }
    },
    cancel: () => resolver.cancel(),
  };
};

interface TtlRecord {
  readonly address: string;
  readonly ttl: number;
}

function resultOf(records: readonly TtlRecord[]): FamilyResult {
  if (records.length === 0) return { code: 'ENODATA' };
  return {
    addresses: [...new Set(records.map(({ address }) => address))],
    ttlSeconds: Math.min(...records.map(({ ttl }) => ttl)),
  };
}

function failedChannel(code: string): DnsChannel {
  return { ask: (_name, _family, done) => queueMicrotask(() => done({ code })), cancel: () => {} };
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'ESERVFAIL';
}
