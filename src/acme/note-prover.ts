import { generateKeyPair } from 'node:crypto';
import { promisify } from 'node:util';
import type { CertificatePair, NoteTexts } from '../stores/contract.ts';
import { challengeCertificate } from './certificates.ts';
import type { ChallengeKind, Proof, Prover } from './complete-order.ts';
import { proofNoteName } from './proof-notes.ts';

/** Longest time that a proof is shown, in ms: an authority may take that long to look at it. */
const shownMs = 3600_000;
const generate = promisify(generateKeyPair);

/** Shows proofs in the store, where the workers of every instance find them when an authority asks. */
export class NoteProver implements Prover {
  private readonly notes: NoteTexts;
  private readonly kinds: readonly ChallengeKind[];

  /** @param kinds that the listen addresses can serve, the best one first. */
  constructor(notes: NoteTexts, kinds: readonly ChallengeKind[]) {
    this.notes = notes;
    this.kinds = kinds;
  }

  /** A wildcard is proved by DNS only (RFC 8555 section 7.1.3). */
  kindsFor(_name: string, isWildcard: boolean): readonly ChallengeKind[] {
    return isWildcard ? [] : this.kinds;
  }

  async show(proof: Proof): Promise<void> {
    const text = proof.kind === 'http-01' ? proof.keyAuthorization : await alpnText(proof);
    await this.notes.write(proofNoteName(proof), text, { ttlMs: shownMs });
  }

  /** It ends by itself if the store is away. */
  async withdraw(proof: Proof): Promise<void> {
    await this.notes.write(proofNoteName(proof), null).catch(() => {});
  }
}

async function alpnText({ keyAuthorization, name }: Proof): Promise<string> {
  const { privateKey } = await generate('ec', { namedCurve: 'P-256' });
  const pair: CertificatePair = {
    certificate: challengeCertificate(privateKey, name, keyAuthorization, Date.now()),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
  return JSON.stringify(pair);
}
