import { FrameType } from './frame.ts';

/** How much a peer may spend. */
export interface BudgetLimits {
  /** It begins with so many tokens, and may save up no more. */
  readonly tokensMax: number;
  /** It gets so many back by and by. */
  readonly tokensPerSecond: number;
}

export const defaultBudget: BudgetLimits = { tokensMax: 10_000, tokensPerSecond: 200 };

/** It gets so many for each message that is exchanged in full. */
const tokensPerMessage = 20;
/** For a frame of data that it gets: grpc-go answers each with a PING and updates of both windows, to measure the line. */
const tokensPerSentFrame = 7;
/** For so many bytes of data, in whichever direction: peers answer those with updates of windows and pings. */
const bytesPerToken = 1024;

/** Prices of frames that carry no message, by type. */
const costs: Readonly<Record<number, number>> = {
  [FrameType.PRIORITY]: 2,
  [FrameType.SETTINGS]: 50,
  [FrameType.PING]: 5,
  [FrameType.GOAWAY]: 50,
  [FrameType.WINDOW_UPDATE]: 1,
  [FrameType.CONTINUATION]: 5,
  [FrameType.PRIORITY_UPDATE]: 2,
};
const unknownFrameCost = 5;
export const emptyDataCost = 10;
/** A frame of a stream that has ended, which may have been under way. */
export const lateFrameCost = 3;
/** A stream that one side resets: CVE-2023-44487, CVE-2025-8671. 2,000 at once are no attack (nodejs/node#56306). */
export const resetCost = 5;

/**
 * The frames without a message that a peer may send: bounds the CPU time of the floods of CVE-2019-9512 to 9518,
 * CVE-2023-44487, CVE-2024-27316 and CVE-2025-8671 together. Well-behaved peers save up more than they need.
 */
export class Budget {
  private readonly limits: BudgetLimits;
  private tokens: number;
  private readonly nowMs: () => number;
  private refilledMs: number;

  /** @param nowMs monotonic ms; called only when the budget is spent. */
  constructor(nowMs: () => number, limits = defaultBudget) {
    this.limits = limits;
    this.tokens = limits.tokensMax;
    this.nowMs = nowMs;
    this.refilledMs = nowMs();
  }

  /** @returns false if the peer has spent too much. */
  payForFrame(type: number): boolean {
    // These are paid for by what becomes of them.
    if (type === FrameType.HEADERS || type === FrameType.RST_STREAM || type === FrameType.DATA) return true;
    return this.pay(costs[type] ?? unknownFrameCost);
  }

  /** @returns false if the peer has spent too much. */
  pay(cost: number): boolean {
    this.tokens -= cost;
    if (this.tokens >= 0) return true;
    const { tokensMax, tokensPerSecond } = this.limits;
    const nowMs = this.nowMs();
    this.tokens = Math.min(tokensMax, this.tokens + ((nowMs - this.refilledMs) * tokensPerSecond) / 1000);
    this.refilledMs = nowMs;
    return this.tokens >= 0;
  }

  messageEnded(): void {
    this.earn(tokensPerMessage);
  }

  /** This side has sent a frame of data. */
  sentData(bytes: number): void {
    this.earn(tokensPerSentFrame + bytes / bytesPerToken);
  }

  /** Data of a message. */
  exchanged(bytes: number): void {
    this.earn(bytes / bytesPerToken);
  }

  private earn(tokens: number): void {
    if (this.tokens < this.limits.tokensMax) this.tokens += tokens;
  }
}
