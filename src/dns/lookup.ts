import { hostname } from 'node:os';
import { type Clock, systemClock } from '../base/clock.ts';
import { type SetTimer, setRealTimer } from '../base/timer.ts';
import type { LookupListener, NameAnswer, NameLookup } from './answer.ts';
import { type OpenChannel, openAresChannel } from './channel.ts';
import { FollowedFile } from './followed-file.ts';
import { type HostsTable, isLocalhost, parseHosts } from './hosts-file.ts';
import { NameQuery } from './name-query.ts';
import { parseResolvConf, type ResolvConf } from './resolv-conf.ts';
import { ServerPreference } from './server-preference.ts';

/** Lifetime of what the hosts file says: it has none of its own. */
const localTtlSeconds = 2;

export interface DnsLookupOptions {
  /** `ip`, `ip:port` or `[ip6]:port`; empty for those of resolv.conf. */
  readonly servers: readonly string[];
  /** The time of one lookup in all. */
  readonly timeoutMs: number;
  readonly clock?: Clock;
  readonly setTimer?: SetTimer;
  /** Paths. */
  readonly hostsFile?: string;
  readonly resolvConf?: string;
  readonly openChannel?: OpenChannel;
}

/** Looks up names as getaddrinfo does with `hosts: files dns`, but without its threads: hosts file, localhost, DNS. */
export class DnsLookup implements NameLookup {
  private readonly options: DnsLookupOptions;
  private readonly clock: Clock;
  private readonly setTimer: SetTimer;
  private readonly hosts: FollowedFile<HostsTable>;
  private readonly conf: FollowedFile<ResolvConf>;
  private readonly preference = new ServerPreference();

  constructor(options: DnsLookupOptions) {
    const { clock = systemClock, setTimer = setRealTimer } = options;
    this.options = options;
    this.clock = clock;
    this.setTimer = setTimer;
    this.hosts = new FollowedFile({
      path: options.hostsFile ?? '/etc/hosts',
      parse: parseHosts,
      clock,
      setTimer,
    });
    this.conf = new FollowedFile({
      path: options.resolvConf ?? '/etc/resolv.conf',
      parse: (text) => parseResolvConf(text, hostname()),
      clock,
      setTimer,
    });
  }

  async local(name: string): Promise<NameAnswer | null> {
    const addresses = (await this.hosts.current()).get(name);
    if (addresses !== undefined) return { addresses, ttlSeconds: localTtlSeconds, source: 'hosts', missing: null };
    if (!isLocalhost(name)) return null;
    return { addresses: ['127.0.0.1', '::1'], ttlSeconds: localTtlSeconds, source: 'localhost', missing: null };
  }

  query(name: string, listener: LookupListener): () => void {
    const query = new NameQuery(name, listener, {
      timeoutMs: this.options.timeoutMs,
      clock: this.clock,
      setTimer: this.setTimer,
      preference: this.preference,
      openChannel: this.options.openChannel ?? openAresChannel,
    });
    void this.conf.current().then((conf) => query.start(conf, this.options.servers));
    return () => query.cancel();
  }
}
