import type { ContextMaterial } from './server-context.ts';

/** The result of a source for a host pattern. */
export type FoundCertificate =
  /** Unchanged since the given stamp: nothing has to be read again. */
  | { readonly kind: 'same' }
  | {
      readonly kind: 'certificate';
      readonly material: ContextMaterial;
      /** Changes whenever the certificate may have changed; empty if the source cannot tell. */
      readonly stamp: string;
      /** Where it was found, for messages. */
      readonly where: string;
    }
  /** There is a certificate, but it cannot be read. `what` is the same for the same problem. */
  | { readonly kind: 'problem'; readonly what: string; readonly where: string };

/** One place from which certificates come: files or the store. */
export interface CertificateSource {
  /**
   * Whether this process is notified of changes (`ServerCertificates.changed`). If not, certificates in use are checked
   * again every few seconds.
   */
  readonly isWatched: boolean;
  /**
   * Looks up the certificates of `patterns`: exact hosts, `*.domain`, `*`.
   * @param stampOf the stamp of what this source found before; null if it found nothing.
   * @param waitMs how long a handshake can wait for the lookup.
   * @returns results in the order of the patterns; null for those without a certificate.
   * @throws Error: the source cannot be read, or not in time.
   */
  find(
    patterns: readonly string[],
    stampOf: (pattern: string) => string | null,
    waitMs: number,
  ): Promise<readonly (FoundCertificate | null)[]>;
}
