import { networkOf } from '../base/client-network.ts';

/** Questions at a time, in a second, and in a second by the clients of one network. */
const openMax = 100;
const perSecondMax = 1000;
const perNetworkMax = 50;

/**
 * Bounds the questions to the store that strangers cause: anybody can ask for any proof. The networks of an authority are not
 * hidden by the questions of others, unless those come from more than twenty networks at once.
 */
export class QuestionLimit {
  private readonly monotonicMs: () => number;
  private open = 0;
  private asked = 0;
  private sinceMs = Number.NEGATIVE_INFINITY;
  private readonly byNetwork = new Map<string, number>();

  constructor(monotonicMs: () => number) {
    this.monotonicMs = monotonicMs;
  }

  /** @param address of the client. @returns null if no question may be asked now, or if it fails. */
  async ask<Answer>(address: string, question: () => Promise<Answer>): Promise<Answer | null> {
    if (this.open >= openMax || !this.mayAsk(networkOf(address))) return null;
    this.open++;
    try {
      return await question();
    } catch {
      return null;
    } finally {
      this.open--;
    }
  }

  private mayAsk(network: string): boolean {
    const nowMs = this.monotonicMs();
    if (nowMs - this.sinceMs >= 1000) {
      this.sinceMs = nowMs;
      this.asked = 0;
      this.byNetwork.clear();
    }
    if (this.asked >= perSecondMax) return false;
    const ofNetwork = (this.byNetwork.get(network) ?? 0) + 1;
    if (ofNetwork > perNetworkMax) return false;
    this.byNetwork.set(network, ofNetwork);
    this.asked++;
    return true;
  }
}
