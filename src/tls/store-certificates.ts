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
  certificateRead(pattern: string, pair: CertificateMaterial | null): void;
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

  constructor(records: CertificateRecords, shared: SharedCertificates | null = null) {
    this.records = records;
    this.shared = shared;
  }

  async find(
    patterns: readonly string[],
    _stampOf: (pattern: string) => string | null,
    waitMs: number,
  ): Promise<readonly (FoundCertificate | null)[]> {
    const records = await this.read(patterns, waitMs);
    return records.map((record) => {
      if (record === null) return null;
      if (record.problem !== undefined) return { kind: 'problem', what: record.problem, where };
      return { kind: 'certificate', material: record, stamp: '', where };
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
    const records = await within(this.records.read(patterns), waitMs);
    if (records.some((record) => record !== null)) {
      for (const [index, record] of records.entries()) {
        if (record?.problem === undefined) shared.certificateRead(patterns[index] as string, record ?? null);
      }
    }
    return records;
  }
}
