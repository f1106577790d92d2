import type { SecureContext } from 'node:tls';
import { SegmentedLru } from './segmented-lru.ts';
import { type ContextMaterial, certificateContext, closeSoon } from './server-context.ts';

/** Authorities whose certificates clients may show in a handshake. */
export interface AskedAuthorities {
  /** The same for the same authorities. */
  readonly id: string;
  /** In PEM. */
  readonly texts: readonly string[];
}

/** Contexts that are kept: some 25 KB each. */
const contextsMax = 1000;

/**
 * Contexts for handshakes in which the client is asked for a certificate. The authorities belong to the host and the
 * certificate may be one of many hosts, so that each pair has a context of its own.
 */
export class ClientContexts {
  private readonly contexts = new SegmentedLru<SecureContext>(contextsMax, Number.POSITIVE_INFINITY, (_, context) =>
    closeSoon(context),
  );

  /** @throws HipacheError CERTIFICATE_INVALID. */
  get(material: ContextMaterial, { id, texts }: AskedAuthorities): SecureContext {
    const key = [id, material.certificate, ...(material.ca ?? [])].join(' ');
    const known = this.contexts.use(key);
    if (known !== undefined) return known;
    const context = certificateContext(material, texts);
    this.contexts.set(key, context);
    return context;
  }
}
