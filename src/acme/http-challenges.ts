import type { NoteTexts } from '../stores/contract.ts';
import { httpProof } from './proof-notes.ts';
import type { QuestionLimit } from './question-limit.ts';

/** RFC 8555 section 8.3; the length is bounded by that of the names of notes. */
const challengePath = /^\/\.well-known\/acme-challenge\/([\w-]{20,180})$/;
const prefix = '/.well-known/';

/** Answers the requests of authorities for proofs (HTTP-01), from the store, where any instance finds them. */
export class HttpChallenges {
  private readonly notes: NoteTexts;
  private readonly limit: QuestionLimit;

  constructor(notes: NoteTexts, limit: QuestionLimit) {
    this.notes = notes;
    this.limit = limit;
  }

  /**
   * The body of the response; null if the request is none of ours: a backend may have an order of its own.
   * @param target of the request. Most requests have another one, and cost a comparison. @param address of the client.
   */
  find(target: string, address: string): Promise<string | null> | null {
    if (!target.startsWith(prefix)) return null;
    const token = challengePath.exec(target)?.[1];
    return token === undefined ? null : this.limit.ask(address, () => httpProof(this.notes, token));
  }
}
