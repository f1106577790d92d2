import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { NoteTexts } from '../stores/contract.ts';
import { Lease } from '../stores/lease.ts';
import { noteName } from '../stores/note-name.ts';
import { AcmeClient } from './acme-client.ts';
import { AcmeError } from './acme-error.ts';
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

const accountSchema = z.object({ url: z.url(), key: z.string() });

/** How long to wait for another instance that registers an account, in ms. */
const registerMs = 30_000;

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

  /** The authority does not know the account of this client any more: the next client has another one. */
  async forget({ directory }: CertificateAuthority, { account }: Pick<AcmeClient, 'account'>): Promise<void> {
    const { notes } = this.options;
    this.clients.delete(directory);
    const text = await notes.read(accountName(directory));
    // Another process may have registered a new one.
    if (text !== null && readAccount(text)?.url === account) {
      await notes.write(accountName(directory), null, { expected: text });
    }
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
    await notes.write(accountName(directory), JSON.stringify({ url, key: key.toPem(passphrase ?? undefined) }));
    return client;
  }
}

function readAccount(text: string): z.infer<typeof accountSchema> | null {
  return accountSchema.safeParse(jsonOf(text)).data ?? null;
}

function accountName(directory: string): string {
  return noteName('acme-account', directory);
}
