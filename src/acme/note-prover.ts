import type { NoteTexts } from '../stores/contract.ts';
import type { ChallengeKind, Proof, Prover } from './complete-order.ts';
import { httpProofNote, tlsProofNote } from './proof-notes.ts';

/** Longest time that a proof is shown, in ms: an authority may take that long to look at it. */
const shownMs = 3600_000;

/** Shows proofs in the store, where the workers of every instance find them when an authority asks. */
export class NoteProver implements Prover {
  private readonly notes: NoteTexts;
  private readonly kinds: readonly ChallengeKind[];

  /** @param kinds that the workers can meet, the best one first. */
  constructor(notes: NoteTexts, kinds: readonly ('http-01' | 'tls-alpn-01')[]) {
    this.notes = notes;
    this.kinds = kinds;
  }

  /** A wildcard is proved by DNS only (RFC 8555 section 7.1.3). */
  kindsFor(_name: string, isWildcard: boolean): readonly ChallengeKind[] {
    return isWildcard ? [] : this.kinds;
  }

  async show(proof: Proof): Promise<void> {
    await this.notes.write(noteOf(proof), proof.keyAuthorization, { ttlMs: shownMs });
  }

  /** It ends by itself if the store is away. */
  async withdraw(proof: Proof): Promise<void> {
    await this.notes.write(noteOf(proof), null).catch(() => {});
  }
}

function noteOf({ kind, name, token }: Proof): string {
  return kind === 'tls-alpn-01' ? tlsProofNote(name) : httpProofNote(token);
}
