import type { InstanceSubject } from '../base/instance-question.ts';
import type { Config } from '../config/config.ts';

/** The descriptor of the socket that the process of the admin API listens on; that of IPC is before it. */
export const adminDescriptor = 4;

/** Sent by the primary to the process of the admin API. */
export type ToAdmin =
  | { readonly kind: 'start'; readonly config: Config }
  /** With a client that came before the process. */
  | { readonly kind: 'client' }
  | { readonly kind: 'ping' }
  /** Those of the workers to `ask`. */
  | { readonly kind: 'answers'; readonly id: number; readonly answers: readonly unknown[] };

/** Sent by that process. */
export type FromAdmin =
  | { readonly kind: 'pong' }
  | { readonly kind: 'ask'; readonly id: number; readonly subject: InstanceSubject; readonly question: unknown };
