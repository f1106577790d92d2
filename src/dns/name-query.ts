import type { Clock } from '../base/clock.ts';
import type { SetTimer } from '../base/timer.ts';
import type { LookupListener, NameFailure } from './answer.ts';
import { BothFamilies, type ServerReply } from './both-families.ts';
import type { OpenChannel } from './channel.ts';
import { namesToTry, type ResolvConf } from './resolv-conf.ts';
import type { ServerPreference } from './server-preference.ts';

/** How long the servers have to reply when they are asked for the first time; then twice as long with each round. */
const firstReplyMs = 1000;

export interface NameQueryOptions {
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly setTimer: SetTimer;
  readonly preference: ServerPreference;
  readonly openChannel: OpenChannel;
}

/**
 * One lookup in DNS. It asks for each name of the search list, and for each name one server after the other, until one
 * replies: in rounds, until the time is over. A search goes on after SERVFAIL, as in glibc's res_nsearch, but not after
 * a timeout.
 */
export class NameQuery {
  private readonly name: string;
  private readonly listener: LookupListener;
  private readonly options: NameQueryOptions;
  private readonly endMs: number;
  private readonly cancelTimer: () => void;
  private servers: readonly string[] = [];
  private names: readonly string[] = [];
  /** The servers in the order for the current name. */
  private order: readonly string[] = [];
  /** Servers asked for the current name, over all rounds. */
  private asked = 0;
  /** Whether a server was silent in this round: it may reply in the next. */
  private isSilent = false;
  /** Of the names before the current one, the code that says most. */
  private code = 'ENOTFOUND';
  private current: BothFamilies | null = null;
  private isOver = false;

  constructor(name: string, listener: LookupListener, options: NameQueryOptions) {
    this.name = name;
    this.listener = listener;
    this.options = options;
    this.endMs = options.clock.monotonicMs() + options.timeoutMs;
    this.cancelTimer = options.setTimer(options.timeoutMs, () => this.fail('ETIMEOUT'));
  }

  /** @param servers those of the configuration; empty for those of `conf`. */
  start(conf: ResolvConf, servers: readonly string[]): void {
    if (this.isOver) return;
    this.servers = servers.length > 0 ? servers : conf.servers;
    this.names = namesToTry(this.name, conf);
    this.tryName();
  }

  /** The listener is not called after this. */
  cancel(): void {
    this.isOver = true;
    this.cancelTimer();
    this.current?.cancel();
    this.current = null;
  }

  /** Begins with the first of the names that are left. */
  private tryName(): void {
    if (this.names.length === 0) {
      this.fail(this.code);
      return;
    }
    this.order = this.options.preference.order(this.servers);
    this.asked = 0;
    this.isSilent = false;
    this.ask();
  }

  private ask(): void {
    const { clock, timeoutMs, setTimer, openChannel } = this.options;
    const round = Math.floor(this.asked / this.order.length);
    const server = this.order[this.asked % this.order.length] as string;
    const leftMs = Math.max(0, this.endMs - clock.monotonicMs());
    const replyMs = Math.min(firstReplyMs * 2 ** round, timeoutMs / 2, leftMs);
    this.current = new BothFamilies(
      openChannel(server, timeoutMs),
      this.names[0] as string,
      replyMs,
      setTimer,
      (reply) => this.take(reply, server),
    );
  }

  private take(reply: ServerReply, server: string): void {
    if (this.isOver) return;
    if (reply.kind === 'failed') {
      this.askNext(reply.code);
      return;
    }
    if (this.asked > 0) this.options.preference.helped(server);
    if (reply.kind === 'found') {
      this.cancel();
      const { addresses, ttlSeconds, missing } = reply;
      this.listener.found({ addresses, ttlSeconds, source: 'dns', missing });
      return;
    }
    this.skipName(reply.code);
  }

  private askNext(code: string): void {
    this.isSilent ||= code === 'ETIMEOUT';
    this.asked++;
    if (this.asked % this.order.length === 0) {
      // A round is over. Servers that replied with an error would only repeat it.
      if (!this.isSilent) {
        if (code === 'ESERVFAIL') this.skipName(code);
        else this.fail(code);
        return;
      }
      this.isSilent = false;
    }
    this.ask();
  }

  private skipName(code: string): void {
    if (rank(code) > rank(this.code)) this.code = code;
    this.names = this.names.slice(1);
    this.tryName();
  }

  private fail(code: string): void {
    this.cancel();
    this.listener.failed(failureOf(code, this.options.timeoutMs));
  }
}

function rank(code: string): number {
  return ['ENOTFOUND', 'ENODATA', 'ESERVFAIL'].indexOf(code);
}

function failureOf(code: string, timeoutMs: number): NameFailure {
  const messages: Readonly<Record<string, string>> = {
    ENOTFOUND: 'the name does not exist',
    ENODATA: 'the name has no address',
    ETIMEOUT: `no name server responded within ${timeoutMs / 1000} s`,
    ESERVFAIL: 'the name servers cannot resolve the name (SERVFAIL)',
    EREFUSED: 'the name servers refuse the query (REFUSED)',
    ECONNREFUSED: 'the name servers cannot be reached',
  };
  return { code, message: messages[code] ?? `the lookup failed (${code})` };
}
