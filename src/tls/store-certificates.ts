import { within } from '../base/timer.ts';
import type { CertificateSource, FoundCertificate } from './certificate-source.ts';

/** The part of a store that is used here; the drivers of `stores/` implement it. */
export interface CertificateRecords {
  /** The records for `patterns`, in order; null for those without one. `problem` says why a record cannot be read. */
  read(
    patterns: readonly string[],
  ): Promise<readonly ({ readonly certificate: string; readonly key: string; readonly problem?: string } | null)[]>;
}

/** Gets the certificates that are read, and gives those of other workers while the store is away. */
export interface SharedCertificates {
  /** Resolves once those of other workers are there, if the store is away. */
  fetchIfAway(): Promise<void>;
  /** Reads, and keeps what is found for others. @returns the result of `read`. */
  readCertificates<Found extends (CertificateMaterial & { readonly problem?: string }) | null>(
    patterns: readonly string[],
    read: () => Promise<readonly Found[]>,
  ): Promise<readonly Found[]>;
  /** Undefined if nothing is known. */
  certificate(pattern: string): CertificateMaterial | null | undefined;
}

interface CertificateMaterial {
  readonly certificate: string;
  readonly key: string;
}

const where = 'in the store';

/** The certificates of the store, which notifies of changes. */
export class StoreCertificates implements CertificateSource {
  readonly isWatched = true;
  private readonly records: CertificateRecords;

  private readonly shared: SharedCertificates | null;
  private readonly passphrase: string | null;

  /** @param passphrase of the keys that are encrypted; null for none. */
  constructor(records: CertificateRecords, shared: SharedCertificates | null = null, passphrase: string | null = null) {
    this.records = records;
    this.passphrase = passphrase;
    this.shared = shared;
  }

  async find(
    patterns: readonly string[],
    _stampOf: (pattern: string) => string | null,
    waitMs: number,
  ): Promise<readonly (FoundCertificate | null)[]> {
    const records = await this.read(patterns, waitMs);
    const secret = this.passphrase === null ? {} : { passphrase: this.passphrase };
    return records.map((record) => {
      if (record === null) return null;
      if (record.problem !== undefined) return { kind: 'problem', what: record.problem, where };
      return { kind: 'certificate', material: { ...record, ...secret }, stamp: '', where };
    });
  }

  private async read(
    patterns: readonly string[],
    waitMs: number,
  ): Promise<Awaited<ReturnType<CertificateRecords['read']>>> {
    const { shared } = this;
    if (shared === null) return within(this.records.read(patterns), waitMs);
    await shared.fetchIfAway();
    const known = patterns.map((pattern) => shared.certificate(pattern));
    if (known.some((pair) => pair != null)) return known.map((pair) => pair ?? null);
    return shared.readCertificates(patterns, () => within(this.records.read(patterns), waitMs));
  }
}
