import type { FieldEdits } from '../http/field-lines.ts';
import type { RequestView } from '../http/message.ts';
import type { RuleEffects } from '../policy/admission.ts';
import type { HostPolicy } from '../policy/host-policy.ts';
import type { Backend } from '../routing/backend.ts';
import { withoutPrefix } from '../routing/path-prefixes.ts';
import { type Peer, requestEdits } from './client-identity.ts';

/** The exchange whose request gets fields. */
interface SentExchange {
  readonly stream: { readonly peer: Peer; readonly effects: RuleEffects | null };
  readonly request: RequestView;
  readonly clientAddress: string;
  readonly policy: HostPolicy;
  readonly traceId: string;
  /** The form of the path by which the route was found, with the query; null: that of the request. */
  readonly path: string | null;
}

/** Changes to the request for a backend: who the client is, those of the host, those that its rules have made. */
export function editsFor(exchange: SentExchange, backend: Backend): FieldEdits {
  const { clientAddress, path, policy, request, stream, traceId } = exchange;
  const { effects, peer } = stream;
  const edits = requestEdits(peer, request, clientAddress, backend, policy, traceId, effects?.backendFields);
  if (path !== null) edits.path = withoutPrefix(path, policy.strippedPath);
  return edits;
}
