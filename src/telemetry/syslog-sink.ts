import { BackOff } from '../base/back-off.ts';
import type { LineSink, LineSinkOptions } from './line-sink.ts';
import { messageBytesMax, type SyslogMessages } from './syslog-message.ts';

/** The way to a server of syslog. It is open from the call of `onOpen` to the call of `onClosed`, and may be opened again. */
export interface SyslogTransport {
  open(events: SyslogTransportEvents): void;
  /**
   * Sends messages, while it is open; one call at a time.
   * @param onSent with how many of them, from the first one, need not be sent again; not called once it is closed.
   */
  send(messages: readonly string[], onSent: (count: number) => void): void;
  /** Closes at once; `onClosed` is not called. */
  close(): void;
}

interface SyslogTransportEvents {
  onOpen(): void;
  /** It could not be opened, or has broken. */
  onClosed(reason: string): void;
}

interface SyslogSinkOptions extends LineSinkOptions {
  /** As the configuration has it. */
  readonly url: string;
  readonly messages: SyslogMessages;
  readonly transport: SyslogTransport;
}

/** Size in bytes at which a batch is sent, at the latest after `flushMs`. */
const batchBytes = 64 * 1024;
const flushMs = 200;
const pauses = { firstMs: 250, longestMs: 15_000, spread: [0.5, 1] } as const;
/** How long a server may take to accept a connection or a batch, in ms. */
const silentMs = 30_000;
/** From then on, a connection counts as one that works: UDP and dying servers accept everything at first. In ms. */
const provenMs = 1000;

/**
 * A server of syslog. Messages are collected and sent in batches, one at a time. A server that is slow or away never delays a
 * request: messages that do not fit the buffer are dropped and counted. A batch that a broken connection has cut off is sent
 * again, so a message may arrive twice.
 */
export class SyslogSink implements LineSink {
  dropped = 0;
  private readonly options: SyslogSinkOptions;
  private readonly backOff = new BackOff(pauses);
  private state: 'closed' | 'opening' | 'open' | 'paused' | 'ended' = 'closed';
  private openedMs = 0;
  private waiting: string[] = [];
  private waitingBytes = 0;
  /** The batch that is being sent, or is to be sent again. */
  private batch: readonly string[] = [];
  private isSending = false;
  /** Whether to connect anew once the batch is sent. */
  private reopenNext = false;
  private isFailing = false;
  /** How many of `dropped` have been reported. */
  private droppedBefore = 0;
  private flushTimer: NodeJS.Timeout | null = null;
  /** Ends a pause, or what takes too long. */
  private timer: NodeJS.Timeout | null = null;
  private onSentOut: (() => void) | null = null;

  constructor(options: SyslogSinkOptions) {
    this.options = options;
    this.open();
  }

  get lineBytesMax(): number {
    return messageBytesMax - this.options.messages.headBytesMax;
  }

  takes(): boolean {
    if (this.state !== 'ended' && this.waitingBytes < this.options.bufferBytesMax) return true;
    if (this.state !== 'ended' && this.dropped === this.droppedBefore) {
      this.options.onProblem(`the access log ${this.options.url} is too slow: dropping lines`);
    }
    this.dropped++;
    return false;
  }

  write(line: string): void {
    const message = this.options.messages.of(line.slice(0, -1));
    this.waiting.push(message);
    this.waitingBytes += message.length;
    if (this.waitingBytes >= batchBytes) this.sendOut();
    else this.sendSoon();
  }

  /** Connects anew: the name of the server may have another address by now. */
  reopen(): void {
    if (this.state === 'ended') return;
    this.reopenNext = this.isSending;
    if (this.isSending) return;
    this.giveUpConnection();
    this.open();
  }

  async close(forMs: number): Promise<void> {
    const timeout = Promise.withResolvers<void>();
    const timer = setTimeout(timeout.resolve, forMs);
    const sent = new Promise<void>((resolve) => {
      this.onSentOut = resolve;
    });
    this.sendOut();
    if (this.state === 'paused') timeout.resolve();
    await Promise.race([sent, timeout.promise]);
    clearTimeout(timer);
    this.giveUpConnection();
    this.state = 'ended';
    if (this.flushTimer !== null) clearTimeout(this.flushTimer);
    this.dropped += this.batch.length + this.waiting.length;
    this.batch = [];
    this.waiting = [];
  }

  private sendSoon(): void {
    this.flushTimer ??= setTimeout(this.onFlushTimer, flushMs);
  }

  private readonly onFlushTimer = (): void => {
    this.flushTimer = null;
    this.sendOut();
  };

  private open(): void {
    this.state = 'opening';
    this.within(silentMs, () => this.onClosed('it does not respond'));
    this.options.transport.open({ onOpen: () => this.onOpen(), onClosed: (reason) => this.onClosed(reason) });
  }

  private onOpen(): void {
    if (this.state !== 'opening') return;
    this.state = 'open';
    this.openedMs = performance.now();
    this.stopTimer();
    this.sendOut();
  }

  private onClosed(reason: string): void {
    if (this.state !== 'opening' && this.state !== 'open') return;
    if (!this.isFailing) {
      this.isFailing = true;
      this.options.onProblem(
        `cannot send the access log to ${this.options.url}: ${reason}; lines beyond the buffer are dropped, trying again`,
      );
    }
    this.giveUpConnection();
    this.state = 'paused';
    this.reopenNext = false;
    this.onSentOut?.();
    this.within(this.backOff.next(), () => this.open());
  }

  private giveUpConnection(): void {
    this.stopTimer();
    this.options.transport.close();
    this.isSending = false;
    this.state = 'closed';
  }

  private sendOut(): void {
    if (this.isSending) return;
    if (this.batch.length === 0) this.takeBatch();
    if (this.batch.length === 0) {
      this.onSentOut?.();
      return;
    }
    if (this.state !== 'open') return;
    this.isSending = true;
    this.within(silentMs, () => this.onClosed('it takes no more'));
    this.options.transport.send(this.batch, (count) => this.onSent(count));
  }

  private takeBatch(): void {
    let count = 0;
    let bytes = 0;
    while (count < this.waiting.length && bytes < batchBytes) bytes += this.waiting[count++]?.length ?? 0;
    this.batch = this.waiting.splice(0, count);
    this.waitingBytes -= bytes;
  }

  private onSent(count: number): void {
    this.isSending = false;
    this.stopTimer();
    this.batch = this.batch.slice(count);
    if (performance.now() - this.openedMs >= provenMs) this.onWorking();
    if (this.reopenNext) this.reopen();
    if (this.batch.length > 0 || this.waitingBytes >= batchBytes || this.onSentOut !== null) this.sendOut();
    else if (this.waiting.length > 0) this.sendSoon();
  }

  private onWorking(): void {
    const { onProblem, url } = this.options;
    this.backOff.reset();
    if (this.isFailing) onProblem(`the access log can be sent to ${url} again`);
    this.isFailing = false;
    if (this.dropped > this.droppedBefore) {
      onProblem(`${this.dropped - this.droppedBefore} access log lines were dropped`);
      this.droppedBefore = this.dropped;
    }
  }

  private within(ms: number, then: () => void): void {
    this.stopTimer();
    this.timer = setTimeout(then, ms).unref();
  }

  private stopTimer(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }
}
