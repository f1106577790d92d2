import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { NoteTexts } from '../stores/contract.ts';
import { Lease } from '../stores/lease.ts';
import { noteName } from '../stores/note-name.ts';
import { AcmeClient } from './acme-client.ts';
import { AcmeError } from './acme-error.ts';
import { persistentRecord, type TextRecord } from './dns-records.ts';
import { AccountKey, type ExternalAccount } from './jws.ts';
import { jsonOf } from './messages.ts';
import type { AcmeTransport } from './transport.ts';

/** An authority, as it is configured. */
export interface CertificateAuthority {
  /** URL of its directory. */
  readonly directory: string;
  readonly contact: readonly string[];
  readonly externalAccount: ExternalAccount | null;
  readonly profile: string | null;
  readonly preferredChain: string | null;
  readonly transport: AcmeTransport;
}

export interface AccountsOptions {
  readonly notes: NoteTexts;
  readonly instance: string;
  /** Encrypts the keys in the store; null: they are in clear. */
  readonly passphrase: string | null;
}

const accountSchema = z.object({
  url: z.url(),
  key: z.string(),
  /** Names of the authority in standing records. */
  issuers: z.array(z.string()).default([]),
});

/** How long to wait for another instance that registers an account, in ms. */
const registerMs = 30_000;
/** Between two replacements of an account, in ms. */
const betweenAccountsMs = 3600_000;

/** The accounts of the fleet, one for each authority, in the store. */
export class Accounts {
  private readonly options: AccountsOptions;
  private readonly clients = new Map<string, Promise<AcmeClient>>();

  constructor(options: AccountsOptions) {
    this.options = options;
  }

  /** A client with the fleet's account, which is registered if there is none. @throws AcmeError; errors of the store. */
  client(authority: CertificateAuthority): Promise<AcmeClient> {
    const { directory } = authority;
    const known = this.clients.get(directory);
    if (known !== undefined) return known;
    const client = this.open(authority);
    this.clients.set(directory, client);
    client.catch(() => {
      if (this.clients.get(directory) === client) this.clients.delete(directory);
    });
    return client;
  }

  /**
   * A client with another account, if the authority has refused something because it takes the one of `client` no more.
   * @throws the error itself, if that is not the reason, or if the account has been replaced a short time ago: an authority that
   *   refuses one account after the other has another reason, and limits the number of new ones.
   */
  async replaced(authority: CertificateAuthority, client: AcmeClient, error: AcmeError): Promise<AcmeClient> {
    if (!(await isAccountGone(client, error))) throw error;
    const { instance, notes } = this.options;
    const { directory } = authority;
    const text = await notes.read(accountName(directory));
    // Another process may have registered a new one.
    if (text !== null && readAccount(text)?.url === client.account) {
      const guard = { expected: null, ttlMs: betweenAccountsMs };
      if (!(await notes.write(noteName('acme-account-replaced', directory), instance, guard))) throw error;
      // Its key may be needed to revoke what it has ordered, and is the only one of a key that an authority gives once.
      await notes.write(noteName('acme-account-former', directory), text);
      await notes.write(accountName(directory), null, { expected: text });
    }
    if ((await this.clients.get(directory)?.catch(() => null)) === client) this.clients.delete(directory);
    return await this.client(authority);
  }

  private async open(authority: CertificateAuthority): Promise<AcmeClient> {
    const { instance, notes } = this.options;
    const { directory } = authority;
    const stored = await this.read(authority);
    if (stored !== null) return stored;
    const lease = await Lease.acquire(
      { notes, name: accountName(directory), holder: `${instance} ${randomUUID()}`, onLost: () => {} },
      registerMs,
    );
    if (typeof lease === 'string') {
      throw new AcmeError(`${lease} has been registering the account at ${directory} for ${registerMs / 1000} s`, {
        type: 'busy',
      });
    }
    try {
      return (await this.read(authority)) ?? (await this.register(authority));
    } finally {
      await lease.release();
    }
  }

  /** Null if there is no account yet. */
  private async read({ directory, transport }: CertificateAuthority): Promise<AcmeClient | null> {
    const { notes, passphrase } = this.options;
    const text = await notes.read(accountName(directory));
    const data = text === null ? null : readAccount(text);
    if (data === null) return null;
    let key: AccountKey;
    try {
      key = AccountKey.fromPem(data.key, passphrase ?? undefined);
    } catch (cause) {
      throw new AcmeError(
        `the key of the account at ${directory} in the store cannot be decrypted: all instances need the same acme.passphrase`,
        { type: 'keyUnreadable', cause },
      );
    }
    const client = new AcmeClient({ directoryUrl: directory, key, transport });
    client.useAccount(data.url);
    return client;
  }

  private async register({
    contact,
    directory,
    externalAccount,
    transport,
  }: CertificateAuthority): Promise<AcmeClient> {
    const { notes, passphrase } = this.options;
    const key = await AccountKey.generate();
    const client = new AcmeClient({ directoryUrl: directory, key, transport });
    const { status, url } = await client.register({ contact, externalAccount });
    if (status !== 'valid') {
      throw new AcmeError(`the new account at ${directory} is ${status}`, { type: 'unauthorized' });
    }
    const issuers = await client.issuers();
    const account = { url, key: key.toPem(passphrase ?? undefined), issuers };
    await notes.write(accountName(directory), JSON.stringify(account));
    return client;
  }
}

/** The standing record that lets the fleet order for a name; null as long as it has no account. */
export async function standingRecord(notes: NoteTexts, directory: string, name: string): Promise<TextRecord | null> {
  const text = await notes.read(accountName(directory));
  const account = text === null ? null : readAccount(text);
  const issuer = account?.issuers[0];
  return account === null || issuer === undefined ? null : persistentRecord(name, issuer, account.url);
}

/** RFC 8555 section 7.3.6. Authorities also refuse single requests as unauthorized. */
async function isAccountGone(client: AcmeClient, { type }: AcmeError): Promise<boolean> {
  if (type === 'accountDoesNotExist') return true;
  if (type !== 'unauthorized') return false;
  try {
    return (await client.ownAccount()).status !== 'valid';
  } catch (error) {
    return error instanceof AcmeError && ['accountDoesNotExist', 'unauthorized'].includes(error.type);
  }
}

function readAccount(text: string): z.infer<typeof accountSchema> | null {
  return accountSchema.safeParse(jsonOf(text)).data ?? null;
}

function accountName(directory: string): string {
  return noteName('acme-account', directory);
}
