import type { Log } from '../base/log.ts';
import { DnsLookup, type DnsLookupOptions } from './lookup.ts';
import { NameResolver } from './name-resolver.ts';

/** The section `dns` of the configuration. */
export interface DnsSettings {
  /** Empty for those of resolv.conf. */
  readonly servers: readonly string[];
  readonly ttlSecondsMin: number;
  readonly ttlSecondsMax: number;
  readonly timeoutSeconds: number;
}

/** The defaults of that section. */
export const defaultDnsSettings: DnsSettings = {
  servers: [],
  ttlSecondsMin: 1,
  ttlSecondsMax: 60,
  timeoutSeconds: 5,
};

export interface SystemResolverOptions {
  readonly settings: DnsSettings;
  readonly log: Log;
  readonly onInternalError: (error: Error) => void;
  /** Default: those of the machine. */
  readonly files?: Pick<DnsLookupOptions, 'hostsFile' | 'resolvConf'>;
}

/** A resolver that asks this machine's hosts file and name servers. */
export function systemResolver({ settings, log, onInternalError, files }: SystemResolverOptions): NameResolver {
  const lookup = new DnsLookup({ servers: settings.servers, timeoutMs: settings.timeoutSeconds * 1000, ...files });
  const limits = { ttlMinMs: settings.ttlSecondsMin * 1000, ttlMaxMs: settings.ttlSecondsMax * 1000 };
  return new NameResolver({ lookup, log, onInternalError, limits });
}
