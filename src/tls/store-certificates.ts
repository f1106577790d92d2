import { within } from '../base/timer.ts';
import type { CertificateSource, FoundCertificate } from './certificate-source.ts';

/** What is used of a store: declared here, implemented by the drivers of `stores/`. */
export interface CertificateRecords {
  /** Those of `patterns`, in their order, null for those without one. `problem` says why a record cannot be read. */
  read(
    patterns: readonly string[],
  ): Promise<readonly ({ readonly certificate: string; readonly key: string; readonly problem?: string } | null)[]>;
}

const where = 'in the store';

/** The certificates of the store, which tells of changes. */
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
