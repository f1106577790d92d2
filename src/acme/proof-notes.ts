import type { NoteTexts } from '../stores/contract.ts';
import { noteName } from '../stores/note-name.ts';

/* The notes in which proofs are shown. Workers read them: this file loads nothing that they do not need. */

/** The body for a request of an authority (RFC 8555 section 8.3); null if no order has this token. */
export function httpProof(notes: NoteTexts, token: string): Promise<string | null> {
  return notes.read(httpProofNote(token));
}

/** The key authorization for the certificate that proves a name (RFC 8737 section 3); null if no order wants it. */
export function tlsProof(notes: NoteTexts, name: string): Promise<string | null> {
  return notes.read(tlsProofNote(name));
}

export function httpProofNote(token: string): string {
  return noteName('acme-http', token);
}

export function tlsProofNote(name: string): string {
  return noteName('acme-tls', name);
}
