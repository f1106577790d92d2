import type { RequestView } from '../http/message.ts';
import type { LocalReply } from './local-reply.ts';

/** Replies to requests of its own, before any route is looked up. */
export interface LocalResponder {
  /** Whether its requests only ask for the health of the proxy itself: logs and metrics leave them out. */
  readonly isHealthCheck: boolean;
  /** The reply; null if the request is not its own. Called for every request: must be quick. */
  respond(request: RequestView): LocalReply | null;
}

const ok: LocalReply = { status: 200, text: 'ok' };

/** The health check of the proxy itself: `Host: __ping__`, as in Hipache. */
export const pingResponder: LocalResponder = {
  isHealthCheck: true,
  respond: ({ authority }) => (authority === '__ping__' ? ok : null),
};
