import type { Accounts, CertificateAuthority } from './accounts.ts';
import { AcmeError } from './acme-error.ts';
import type { AuthorityLimits } from './authority-limits.ts';
import { isPersistentRecord, persistentRecord } from './dns-records.ts';
import type { PublicDns } from './public-dns.ts';

export interface StandingRecordMeans {
  readonly accounts: Accounts;
  readonly authorities: readonly CertificateAuthority[];
  readonly limits: AuthorityLimits;
  readonly dns: Pick<PublicDns, 'texts'>;
  /** Epoch ms. */
  readonly now: () => number;
}

export interface StandingRecord {
  /** Directories of the authorities that will find it. */
  readonly authorities: readonly string[];
  /** Why the others will not: which record is to be created, in words. */
  readonly missing: string;
}

/** Looks for the standing records that let the fleet order for a name (DNS-PERSIST-01), at the name itself. */
export async function findStandingRecord(
  name: string,
  isWildcard: boolean,
  means: StandingRecordMeans,
): Promise<StandingRecord> {
  const found: string[] = [];
  const problems: string[] = [];
  for (const authority of means.authorities) {
    const { directory } = authority;
    const problem = await problemAt(authority, name, isWildcard, means).catch((error: unknown) => {
      if (error instanceof AcmeError) return error.message;
      throw error;
    });
    if (problem === null) found.push(directory);
    else problems.push(`dns-persist-01: ${problem}`);
  }
  return { authorities: found, missing: problems.join('; ') };
}

/** Null if the authority will find the record. @throws AcmeError. */
async function problemAt(
  authority: CertificateAuthority,
  name: string,
  isWildcard: boolean,
  { accounts, dns, limits, now }: StandingRecordMeans,
): Promise<string | null> {
  const { directory } = authority;
  const held = await limits.find(directory, null);
  if (held !== null) return held.why;
  const client = await accounts.client(authority).catch(async (error: unknown) => {
    if (error instanceof AcmeError) await limits.refused(directory, null, error);
    throw error;
  });
  const issuers = await client.issuers();
  const [issuer] = issuers;
  const account = client.account ?? '';
  if (issuer === undefined) return `${directory} does not say which name it has in such records`;
  const record = persistentRecord(name, issuer, account);
  const texts = await dns.texts(record.name);
  if (texts.some((text) => isPersistentRecord(text, { issuers, account, isWildcard }, now()))) return null;
  return `it needs the TXT record ${record.name} "${record.value}"`;
}
