import type { SetTimer } from '../base/timer.ts';
import type { Family } from './answer.ts';
import type { DnsChannel, FamilyResult } from './channel.ts';

/** How long the second family may take after the first one has given addresses. */
const secondFamilyMs = 250;

/** The reply of one server about one name. */
export type ServerReply =
  | {
      readonly kind: 'found';
      readonly addresses: readonly string[];
      readonly ttlSeconds: number;
      readonly missing: Family | null;
    }
  /** It is certain that the name has no addresses. */
  | { readonly kind: 'absent'; readonly code: string }
  /** The server does not help: another one may. */
  | { readonly kind: 'failed'; readonly code: string };

/** Codes that are a statement about the name, not about the server. */
const absentCodes: readonly string[] = ['ENODATA', 'ENOTFOUND', 'EBADNAME'];

/** The queries for A and AAAA of one name to one server. */
export class BothFamilies {
  private readonly channel: DnsChannel;
  private readonly setTimer: SetTimer;
  private readonly done: (reply: ServerReply) => void;
  private readonly results: Record<Family, FamilyResult | null> = { 4: null, 6: null };
  private cancelTimer: () => void;
  private isOver = false;

  /** Sends both. Calls `done` once, never before the constructor returns. */
  constructor(
    channel: DnsChannel,
    name: string,
    timeoutMs: number,
    setTimer: SetTimer,
    done: (reply: ServerReply) => void,
  ) {
    this.channel = channel;
    this.setTimer = setTimer;
    this.done = done;
    this.cancelTimer = setTimer(timeoutMs, () => this.finish());
    channel.ask(name, 4, (result) => this.take(4, result));
    channel.ask(name, 6, (result) => this.take(6, result));
  }

  cancel(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.cancelTimer();
    this.channel.cancel();
  }

  private take(family: Family, result: FamilyResult): void {
    if (this.isOver) return;
    this.results[family] = result;
    if (this.results[4] !== null && this.results[6] !== null) {
      this.finish();
    } else if ('addresses' in result) {
      this.cancelTimer();
      this.cancelTimer = this.setTimer(secondFamilyMs, () => this.finish());
    }
  }

  private finish(): void {
    this.cancel();
    this.done(replyOf(this.results[4] ?? { code: 'ETIMEOUT' }, this.results[6] ?? { code: 'ETIMEOUT' }));
  }
}

function replyOf(four: FamilyResult, six: FamilyResult): ServerReply {
  if ('addresses' in four || 'addresses' in six) {
    const found = [four, six].filter((result) => 'addresses' in result);
    return {
      kind: 'found',
      addresses: found.flatMap(({ addresses }) => addresses),
      ttlSeconds: Math.min(...found.map(({ ttlSeconds }) => ttlSeconds)),
      missing: isFailure(four) ? 4 : isFailure(six) ? 6 : null,
    };
  }
  const failure = [four, six].find(isFailure);
  if (failure !== undefined) return { kind: 'failed', code: failure.code };
  return { kind: 'absent', code: four.code === 'ENODATA' || six.code === 'ENODATA' ? 'ENODATA' : four.code };
}

/** Whether nothing is known of the family. */
function isFailure(result: FamilyResult): result is { readonly code: string } {
  return 'code' in result && !absentCodes.includes(result.code);
}
