import { FieldEdits } from '../http/field-lines.ts';
import type { ResponseView } from '../http/message.ts';
import type { Peer } from './client-identity.ts';

/** The changes of a response with the Via of this proxy, if it has a name (RFC 9110 section 7.6.3). */
export function withVia({ identity }: Peer, { version }: ResponseView, edits: FieldEdits | null): FieldEdits | null {
  const { via } = identity;
  if (via === null) return edits;
  const both = new FieldEdits(0, `${edits?.text ?? ''}Via: ${version} ${via}\r\n`);
  both.names = edits?.names ?? null;
  return both;
}
