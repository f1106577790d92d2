import type { ContextMaterial } from './server-context.ts';

/** The certificate of a host pattern, as a source gives it. */
export type FoundCertificate =
  /** As the stamp that was passed in says: nothing needs to be read again. */
  | { readonly kind: 'same' }
  | {
      readonly kind: 'certificate';
      readonly material: ContextMaterial;
      /** Changes when the certificate may have; empty if the source cannot tell. */
      readonly stamp: string;
      /** Where it was found, for messages. */
      readonly where: string;
    }
  /** There is one, but it cannot be read. `what` is the same for the same problem. */
  | { readonly kind: 'problem'; readonly what: string; readonly where: string };

/** One place that certificates come from: files, the store. */
export interface CertificateSource {
  /**
   * Whether this process hears of changes in it (`ServerCertificates.changed`). If not, what was found is looked at again
   * after a few seconds of use.
   */
  readonly isWatched: boolean;
  /**
   * Looks for the certificates of `patterns`: exact hosts, `*.domain`, `*`.
   * @param stampOf what was found before by this source, null for nothing.
   * @param waitMs how long a handshake can wait for it.
   * @returns in the order of the patterns, null for those without a certificate.
   * @throws Error: the source cannot be read, or not in time.
   */
  find(
    patterns: readonly string[],
    stampOf: (pattern: string) => string | null,
    waitMs: number,
  ): Promise<readonly (FoundCertificate | null)[]>;
}
