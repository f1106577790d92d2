import type { CertificatePair, NoteTexts } from '../stores/contract.ts';
import { noteName } from '../stores/note-name.ts';
import type { Proof } from './complete-order.ts';

/* The notes in which proofs are shown. Workers read them: this file loads nothing that they do not need. */

/** The body for a request of an authority (RFC 8555 section 8.3); null if no order has this token. */
export function httpProof(notes: NoteTexts, token: string): Promise<string | null> {
  return notes.read(noteName('acme-http', token));
}

/** The certificate for a handshake of an authority (RFC 8737 section 3); null if no order waits for one. */
export async function alpnProof(notes: NoteTexts, serverName: string): Promise<CertificatePair | null> {
  const text = await notes.read(noteName('acme-alpn', serverName));
  return text === null ? null : JSON.parse(text);
}

export function proofNoteName({ kind, name, token }: Pick<Proof, 'kind' | 'name' | 'token'>): string {
  return kind === 'http-01' ? noteName('acme-http', token) : noteName('acme-alpn', name);
}
