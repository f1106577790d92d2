import { FieldEdits, FieldLines } from '../http/field-lines.ts';
import type { HostPolicy } from '../policy/host-policy.ts';

/** A response as its host's changes to fields need it. */
interface EditedExchange {
  readonly policy: HostPolicy;
  /** Whether the client uses https. */
  readonly isSecure: boolean;
  readonly requestId: string;
}

/** Changes to the fields of a backend's response; null for none. @param debug the debug fields; null for none. */
export function responseEdits(exchange: EditedExchange, debug: FieldLines | null): FieldEdits | null {
  const { responseEdits: changes } = exchange.policy;
  const own = changes === null ? null : exchange.isSecure ? changes.secure : changes.plain;
  if (debug === null) return own;
  const edits = new FieldEdits(0, `${own?.text ?? ''}${debug.text}`);
  edits.names = own?.names ?? null;
  return edits;
}

/** The fields that a local reply has beside its own. @param debug as above. */
export function localFields(exchange: EditedExchange, debug: FieldLines | null): FieldLines {
  const { isSecure, policy, requestId } = exchange;
  const hstsLine = isSecure ? (policy.responseEdits?.hstsLine ?? '') : '';
  return new FieldLines(`x-request-id: ${requestId}\r\n${hstsLine}${debug?.text ?? ''}`);
}
