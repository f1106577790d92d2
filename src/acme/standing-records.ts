import type { Accounts, CertificateAuthority } from './accounts.ts';
import { isPersistentRecord, persistentRecord } from './dns-records.ts';
import type { PublicDns } from './public-dns.ts';

/**
 * Looks for the standing record that lets the fleet order for a name (DNS-PERSIST-01), at the name itself.
 * @returns null if an authority will find it; else which record is to be created.
 * @throws AcmeError.
 */
export async function findStandingRecord(
  name: string,
  isWildcard: boolean,
  {
    accounts,
    authorities,
    dns,
  }: {
    readonly accounts: Accounts;
    readonly authorities: readonly CertificateAuthority[];
    readonly dns: Pick<PublicDns, 'texts'>;
  },
): Promise<string | null> {
  const problems: string[] = [];
  for (const authority of authorities) {
    const client = await accounts.client(authority);
    const issuers = await client.issuers();
    const [issuer] = issuers;
    const account = client.account ?? '';
    if (issuer === undefined) {
      problems.push(`dns-persist-01: ${authority.directory} does not say which name it has in such records`);
      continue;
    }
    const record = persistentRecord(name, issuer, account);
    const texts = await dns.texts(record.name);
    if (texts.some((text) => isPersistentRecord(text, { issuers, account, isWildcard }, Date.now()))) return null;
    problems.push(`dns-persist-01: it needs the TXT record ${record.name} "${record.value}"`);
  }
  return problems.join('; ');
}
