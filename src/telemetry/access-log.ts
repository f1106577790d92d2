import { errorKind } from '../base/errors.ts';
import type { EndedExchange, ProxyObserver } from '../proxy/observer.ts';
import type { AccessLine } from './access-line.ts';
import type { LineSink } from './line-sink.ts';

interface AccessLogOptions {
  readonly sink: LineSink;
  readonly line: AccessLine;
  /** Of hosts without a policy of their own; see `HostPolicy.accessLogShare`. */
  readonly share: number;
  readonly epochMs: () => number;
}

/** If a line would be longer than the sink takes, its texts are truncated to these numbers of characters, tried in order. */
const shorterChars = [500, 60];

/** The access log of one worker: decides which exchanges have a line. */
export class AccessLog implements ProxyObserver {
  readonly sink: LineSink;
  private readonly line: AccessLine;
  private readonly share: number;
  private readonly epochMs: () => number;

  constructor({ epochMs, line, share, sink }: AccessLogOptions) {
    this.sink = sink;
    this.line = line;
    this.share = share;
    this.epochMs = epochMs;
  }

  exchangeEnded(exchange: EndedExchange): void {
    // A balancer that asks every second would fill the log. Hipache 0.4 omitted these requests too.
    if (exchange.isHealthCheck) return;
    const share = exchange.frontend?.policy?.accessLogShare ?? this.share;
    if (share < 0) return;
    const isSampled = share < 1 && isGood(exchange);
    if (isSampled && exchange.draw >= share) return;
    if (this.sink.takes()) this.sink.write(this.text(exchange, isSampled ? share : 1));
  }

  private text(exchange: EndedExchange, share: number): string {
    const { lineBytesMax } = this.sink;
    const nowMs = this.epochMs();
    let text = this.line(exchange, nowMs, share);
    for (const charsMax of shorterChars) {
      if (text.length <= lineBytesMax) break;
      text = this.line(exchange, nowMs, share, charsMax);
    }
    return text;
  }
}

/** Whether an exchange is one of those that sampling leaves out: nobody but its client has anything to do about it. */
function isGood({ errorCode, status }: EndedExchange): boolean {
  return status < 500 && (errorCode === null || errorKind(errorCode).source === 'client');
}
