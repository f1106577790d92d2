/** Where the platform behind a host hears of it: by an HTTP request, or by a note in the store. */
export type HookTarget =
  | {
      readonly kind: 'webhook';
      readonly url: string;
      /** Signs the requests; empty: they are not signed. */
      readonly key: string;
    }
  | { readonly kind: 'event' };

/** A host that was used a moment ago, whose platform wants to know when nobody uses it. */
export interface UsedHost {
  readonly pattern: string;
  /** Without a request or a frame for so long, in ms, it is idle. */
  readonly idleAfterMs: number;
  readonly target: HookTarget;
}
