import { FieldLines } from '../http/field-lines.ts';
import { Field } from '../http/field-names.ts';
import type { Backend } from '../routing/backend.ts';
import { isClientSecure } from './client-identity.ts';
import type { ProxyContext } from './context.ts';
import type { Exchange } from './exchange.ts';

/** The fields that a backend's response gets on its way to the client; null for none. */
export function addedFields(exchange: Exchange, backend: Backend | null, context: ProxyContext): FieldLines | null {
  const fields = debugFields(exchange, backend, null, context);
  const { frontend, stream } = exchange;
  const { sticky } = frontend?.policy ?? context.policy;
  if (sticky === null || frontend === null || backend === null) return fields;
  const { canary } = frontend;
  if (sticky.backendOf(frontend, stream.request) === backend) return fields;
  if (canary !== null && sticky.backendOf(canary, stream.request) === backend) return fields;
  const all = fields ?? new FieldLines();
  all.add('Set-Cookie', sticky.setCookie(frontend, backend, isClientSecure(stream.peer, stream.request)));
  return all;
}

/**
 * Hipache's debug fields, for a trusted peer that sent `X-Debug`; null for any other.
 * @param backend the one that responded, or failed last; null for none.
 * @param error text of a local reply; null for a backend's response.
 */
export function debugFields(
  exchange: Exchange,
  backend: Backend | null,
  error: string | null,
  { clock, version }: ProxyContext,
): FieldLines | null {
  const { stream } = exchange;
  if (!stream.peer.trusted || stream.request.value(Field.X_DEBUG) === null) return null;
  const nowMs = clock.monotonicMs();
  const fields = new FieldLines();
  fields.add('x-debug-version-hipache', version);
  if (backend !== null) {
    fields.add('x-debug-backend-url', printable(backend.url));
    fields.add('x-debug-backend-id', String(backend.index));
  }
  if (exchange.frontend !== null) fields.add('x-debug-vhost', printable(exchange.frontend.id));
  if (exchange.host !== '') fields.add('x-debug-frontend-key', exchange.host);
  fields.add('x-debug-time-total', String(Math.round(nowMs - exchange.startMs)));
  if (exchange.sentMs > 0) fields.add('x-debug-time-backend', String(Math.round(nowMs - exchange.sentMs)));
  if (error !== null) fields.add('x-debug-error', error);
  return fields;
}

/**
 * A record's text as a field value: each character that could end the line or is not latin1 becomes a question mark.
 */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e\xa0-\xff]/g, '?');
}
