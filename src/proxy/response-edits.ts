import { FieldEdits, FieldLines } from '../http/field-lines.ts';
import { Field } from '../http/field-names.ts';
import type { RequestView } from '../http/message.ts';
import type { HostPolicy } from '../policy/host-policy.ts';
import type { Backend } from '../routing/backend.ts';
import type { Frontend } from '../routing/frontend.ts';
import type { Peer } from './client-identity.ts';
import type { ProxyContext } from './context.ts';

/** The exchange whose response gets fields. */
interface EditedExchange {
  readonly stream: { readonly peer: Peer };
  readonly request: RequestView;
  readonly frontend: Frontend | null;
  readonly policy: HostPolicy;
  readonly host: string;
  /** Whether the client uses https. */
  readonly isSecure: boolean;
  readonly requestId: string;
  /** Monotonic ms. */
  readonly startMs: number;
  /** Monotonic ms; 0 before. */
  readonly sentMs: number;
}

/** Changes to the fields of a backend's response: those of the host, its sticky cookie, debug fields. Null for none. */
export function responseEdits(
  exchange: EditedExchange,
  backend: Backend | null,
  context: ProxyContext,
): FieldEdits | null {
  const { responseEdits: changes } = exchange.policy;
  const own = changes === null ? null : exchange.isSecure ? changes.secure : changes.plain;
  const added = debugLines(exchange, backend, null, context) + stickyLine(exchange, backend);
  if (added === '') return own;
  const edits = new FieldEdits(0, (own?.text ?? '') + added);
  edits.names = own?.names ?? null;
  return edits;
}

/**
 * The fields that a local reply has beside its own.
 * @param backend the one that failed last; null for none. @param text of the reply.
 */
export function localFields(
  exchange: EditedExchange,
  backend: Backend | null,
  text: string,
  context: ProxyContext,
): FieldLines {
  const { isSecure, policy, requestId } = exchange;
  const hstsLine = isSecure ? (policy.responseEdits?.hstsLine ?? '') : '';
  return new FieldLines(`x-request-id: ${requestId}\r\n${hstsLine}${debugLines(exchange, backend, text, context)}`);
}

/** The cookie that names the backend, unless the client has it; empty for none. */
function stickyLine({ frontend, isSecure, policy, request }: EditedExchange, backend: Backend | null): string {
  const { sticky } = policy;
  if (sticky === null || frontend === null || backend === null) return '';
  const { canary } = frontend;
  if (sticky.backendOf(frontend, request) === backend) return '';
  if (canary !== null && sticky.backendOf(canary, request) === backend) return '';
  return `Set-Cookie: ${sticky.setCookie(frontend, backend, isSecure)}\r\n`;
}

/**
 * Hipache's debug fields, for a trusted peer that sent `X-Debug`; empty for any other.
 * @param error text of a local reply; null for a backend's response.
 */
function debugLines(
  { frontend, host, request, sentMs, startMs, stream }: EditedExchange,
  backend: Backend | null,
  error: string | null,
  { clock, version }: ProxyContext,
): string {
  if (!stream.peer.trusted || request.value(Field.X_DEBUG) === null) return '';
  const nowMs = clock.monotonicMs();
  const fields = new FieldLines();
  fields.add('x-debug-version-hipache', version);
  if (backend !== null) {
    fields.add('x-debug-backend-url', printable(backend.url));
    fields.add('x-debug-backend-id', String(backend.index));
  }
  if (frontend !== null) fields.add('x-debug-vhost', printable(frontend.id));
  if (host !== '') fields.add('x-debug-frontend-key', host);
  fields.add('x-debug-time-total', String(Math.round(nowMs - startMs)));
  if (sentMs > 0) fields.add('x-debug-time-backend', String(Math.round(nowMs - sentMs)));
  if (error !== null) fields.add('x-debug-error', error);
  return fields.text;
}

/** A record's text as a field value: each character that could end the line or is not latin1 becomes a question mark. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e\xa0-\xff]/g, '?');
}
