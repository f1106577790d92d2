import { within } from '../base/timer.ts';
import type { CertificateSource, FoundCertificate } from './certificate-source.ts';

/** The part of a store that is used here; the drivers of `stores/` implement it. */
export interface CertificateRecords {
  /** The records for `patterns`, in order; null for those without one. `problem` says why a record cannot be read. */
  read(
    patterns: readonly string[],
  ): Promise<readonly ({ readonly certificate: string; readonly key: string; readonly problem?: string } | null)[]>;
}

const where = 'in the store';

/** The certificates of the store, which notifies of changes. */
export class StoreCertificates implements CertificateSource {
  readonly isWatched = true;
  private readonly records: CertificateRecords;

  constructor(records: CertificateRecords) {
    this.records = records;
  }

  async find(
    patterns: readonly string[],
    _stampOf: (pattern: string) => string | null,
    waitMs: number,
  ): Promise<readonly (FoundCertificate | null)[]> {
    const records = await within(this.records.read(patterns), waitMs);
    return records.map((record) => {
      if (record === null) return null;
      if (record.problem !== undefined) return { kind: 'problem', what: record.problem, where };
      return { kind: 'certificate', material: record, stamp: '', where };
    });
  }
}
