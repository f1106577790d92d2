import { hash } from 'node:crypto';

/** A TXT record. */
export interface TextRecord {
  /** Without the final dot. */
  readonly name: string;
  readonly value: string;
}

/** The record that proves a name by DNS-01 (RFC 8555 section 8.4). */
export function challengeRecord(name: string, keyAuthorization: string): TextRecord {
  return { name: `_acme-challenge.${name}`, value: hash('sha256', keyAuthorization, 'base64url') };
}

/**
 * The record that lets an account order for a name, and for the names and wildcards below it, as long as it stands
 * (DNS-PERSIST-01, draft-ietf-acme-dns-persist-01 section 4).
 * @param issuer name of the authority. @param account URL of the account.
 */
export function persistentRecord(name: string, issuer: string, account: string): TextRecord {
  return { name: `_validation-persist.${name}`, value: `${issuer}; accounturi=${account}; policy=wildcard` };
}

/** Whether a record lets an account order. Its parameters are those of a CAA record (RFC 8659 section 4.2). */
export function isPersistentRecord(
  text: string,
  wanted: { readonly issuers: readonly string[]; readonly account: string; readonly isWildcard: boolean },
  nowMs: number,
): boolean {
  const [issuer = '', ...parts] = text.split(';').map((part) => part.trim());
  const parameters = new Map<string, string>();
  for (const part of parts) {
    const equals = part.indexOf('=');
    const tag = part.slice(0, Math.max(0, equals)).trim().toLowerCase();
    // Authorities refuse what is not well-formed.
    if (tag === '' || parameters.has(tag)) return false;
    parameters.set(tag, part.slice(equals + 1).trim());
  }
  const until = parameters.get('persistuntil');
  return (
    wanted.issuers.includes(issuer.toLowerCase().replace(/\.$/, '')) &&
    parameters.get('accounturi') === wanted.account &&
    (!wanted.isWildcard || parameters.get('policy')?.toLowerCase() === 'wildcard') &&
    (until === undefined || (/^\d{1,12}$/.test(until) && Number(until) * 1000 > nowMs))
  );
}
