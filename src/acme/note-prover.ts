import type { NoteTexts } from '../stores/contract.ts';
import type { ChallengeKind, Proof, Prover } from './complete-order.ts';
import { proofNoteName } from './proof-notes.ts';

/** Longest time that a proof is shown, in ms: an authority may take that long to look at it. */
const shownMs = 3600_000;

/** Shows proofs in the store, where the workers of every instance find them when an authority asks. */
export class NoteProver implements Prover {
  private readonly notes: NoteTexts;
  private readonly canServe: boolean;

  /** @param canServe whether there is an address without TLS, where authorities ask. */
  constructor(notes: NoteTexts, canServe: boolean) {
    this.notes = notes;
    this.canServe = canServe;
  }

  /** A wildcard is proved by DNS only (RFC 8555 section 7.1.3). */
  kindsFor(_name: string, isWildcard: boolean): readonly ChallengeKind[] {
    return isWildcard || !this.canServe ? [] : ['http-01'];
  }

  async show(proof: Proof): Promise<void> {
    await this.notes.write(proofNoteName(proof.token), proof.keyAuthorization, { ttlMs: shownMs });
  }

  /** It ends by itself if the store is away. */
  async withdraw(proof: Proof): Promise<void> {
    await this.notes.write(proofNoteName(proof.token), null).catch(() => {});
  }
}
