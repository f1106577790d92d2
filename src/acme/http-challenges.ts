import type { NoteTexts } from '../stores/contract.ts';
import { httpProof } from './proof-notes.ts';

/** RFC 8555 section 8.3; the length is bounded by that of the names of notes. */
const challengePath = /^\/\.well-known\/acme-challenge\/([\w-]{20,180})$/;
const prefix = '/.well-known/';
/**
 * Questions to the store at a time, and in a second. Anybody can ask for any token; with more than this, the question of an
 * authority may be lost among them.
 */
const openMax = 100;
const perSecondMax = 500;

/** Answers the requests of authorities for proofs (HTTP-01), from the store, where any instance finds them. */
export class HttpChallenges {
  private readonly notes: NoteTexts;
  private readonly monotonicMs: () => number;
  private open = 0;
  private asked = 0;
  private sinceMs = 0;

  constructor(notes: NoteTexts, monotonicMs: () => number) {
    this.notes = notes;
    this.monotonicMs = monotonicMs;
  }

  /**
   * The body of the response; null if the request is none of ours: a backend may have an order of its own.
   * @param target of the request. Most requests have another one, and cost a comparison.
   */
  find(target: string): Promise<string | null> | null {
    if (!target.startsWith(prefix)) return null;
    const token = challengePath.exec(target)?.[1];
    if (token === undefined || this.open >= openMax || !this.mayAsk()) return null;
    this.open++;
    return httpProof(this.notes, token)
      .catch(() => null)
      .finally(() => {
        this.open--;
      });
  }

  private mayAsk(): boolean {
    const nowMs = this.monotonicMs();
    if (nowMs - this.sinceMs >= 1000) [this.sinceMs, this.asked] = [nowMs, 0];
    return ++this.asked <= perSecondMax;
  }
}
