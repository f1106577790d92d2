import { generateKeyPair } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
import { promisify } from 'node:util';
import type { NoteTexts } from '../stores/contract.ts';
import type { ChallengeContexts } from '../tls/tls-listener.ts';
import { tlsProof } from './proof-notes.ts';
import type { QuestionLimit } from './question-limit.ts';

const generate = promisify(generateKeyPair);

/** Contexts that are kept: an authority connects from several places. */
const keptMax = 50;

/** Makes the certificates by which names are proved to authorities (TLS-ALPN-01), from proofs in the store. */
export class TlsChallenges implements ChallengeContexts {
  private readonly notes: NoteTexts;
  private readonly limit: QuestionLimit;
  private readonly epochMs: () => number;
  /** By name and key authorization. */
  private readonly kept = new Map<string, Promise<SecureContext>>();

  constructor(notes: NoteTexts, limit: QuestionLimit, epochMs: () => number) {
    this.notes = notes;
    this.limit = limit;
    this.epochMs = epochMs;
  }

  async find(serverName: string, address: string): Promise<SecureContext | null> {
    const name = serverName.toLowerCase();
    return await this.limit.ask(address, async () => {
      const keyAuthorization = await tlsProof(this.notes, name);
      return keyAuthorization === null ? null : await this.contextOf(name, keyAuthorization);
    });
  }

  private contextOf(name: string, keyAuthorization: string): Promise<SecureContext> {
    const id = `${name} ${keyAuthorization}`;
    const known = this.kept.get(id);
    if (known !== undefined) return known;
    const context = this.make(name, keyAuthorization);
    this.kept.set(id, context);
    context.catch(() => this.kept.delete(id));
    const [oldest] = this.kept.keys();
    if (this.kept.size > keptMax && oldest !== undefined) this.kept.delete(oldest);
    return context;
  }

  private async make(name: string, keyAuthorization: string): Promise<SecureContext> {
    // Few workers ever need it.
    const { challengeCertificate } = await import('./certificates.ts');
    const { privateKey } = await generate('ec', { namedCurve: 'P-256' });
    return createSecureContext({
      cert: challengeCertificate(privateKey, name, keyAuthorization, this.epochMs()),
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    });
  }
}
