import type { RequestView } from '../http/message.ts';
import type { LocalReply } from './local-reply.ts';

/** Responds to certain requests locally, before any route is looked up. */
export interface LocalResponder {
  /** Whether these requests are health checks of the proxy itself: logs and metrics omit them. */
  readonly isHealthCheck: boolean;
  /**
   * The reply; null if the request is for someone else. Called for every request, so it must be fast. A reply that has
   * to be looked up is a promise: the request waits, and its body is not read meanwhile.
   * @param peer address of the peer.
   */
  respond(request: RequestView, peer: string): LocalReply | null | Promise<LocalReply | null>;
}

const ok: LocalReply = { status: 200, text: 'ok' };

/** The health check of the proxy itself: `Host: __ping__`, as in Hipache 0.4. */
export const pingResponder: LocalResponder = {
  isHealthCheck: true,
  respond: ({ authority }) => (authority === '__ping__' ? ok : null),
};
