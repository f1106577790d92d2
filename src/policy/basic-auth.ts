import { createHash } from 'node:crypto';
import { FieldLines } from '../http/field-lines.ts';
import { Field } from '../http/field-names.ts';
import type { AdmissionRule, AskedRequest, Refusal } from './admission.ts';
import type { OptionType } from './option-type.ts';

/** Checks a password against its hash. It may reject: then nobody is let in. */
export type CheckPassword = (password: string, hash: string) => Promise<boolean>;

/** The hashes of passwords by the name of the user. */
export type BasicUsers = ReadonlyMap<string, string>;

const usersMax = 100;
/** Right credentials that are remembered, and for how long, in ms. */
const rememberedMax = 10_000;
const rememberedMs = 600_000;
/** Checks of a host at a time, in a worker. */
const pendingMax = 10;

/** Lines of `name:hash`, as `htpasswd -B` and `hipache option password` write them. */
export const basicUsers: OptionType<BasicUsers> = {
  allowed: `up to ${usersMax} lines "name:hash", with a hash of bcrypt or argon2, as "hipache option password NAME" or htpasswd -B writes it`,
  parse(text, problems) {
    const users = new Map<string, string>();
    for (const line of text.split(/\s+/).filter((each) => each !== '')) {
      const [, name, hash] = /^([^:]+):(\$(?:2[aby]|argon2id?)\$.+)$/.exec(line) ?? [];
      // The line may have a password: it must not be shown.
      if (name === undefined || hash === undefined) problems.push('a line is not "name:hash", and is skipped');
      else if (users.size >= usersMax) problems.push(`users after the first ${usersMax} are skipped`);
      else users.set(name, hash);
    }
    return users;
  },
};

/**
 * Asks for a name and a password (RFC 7617). A list of nothing but wrong lines lets nobody in. Right credentials are
 * remembered for ten minutes, so that a check, which takes a tenth of a second, is not made for each request.
 */
export class BasicAuth implements AdmissionRule {
  private readonly users: BasicUsers;
  private readonly check: CheckPassword;
  private readonly nowMs: () => number;
  /** Digests of right credentials, and when they are forgotten. */
  private readonly remembered = new Map<string, number>();
  /** Checks in progress: requests with the same credentials share one. */
  private readonly pending = new Map<string, Promise<Refusal | null>>();

  constructor(users: BasicUsers, check: CheckPassword, nowMs: () => number = () => performance.now()) {
    this.users = users;
    this.check = check;
    this.nowMs = nowMs;
  }

  refuse({ host, request }: AskedRequest): Refusal | null | Promise<Refusal | null> {
    const given = request.value(Field.AUTHORIZATION);
    const credentials = given === null ? null : credentialsOf(given);
    if (credentials === null) return required(host, '');
    const digest = createHash('sha256')
      .update(given ?? '')
      .digest('base64');
    const knownUntilMs = this.remembered.get(digest);
    if (knownUntilMs !== undefined && knownUntilMs > this.nowMs()) {
      this.remembered.set(digest, this.nowMs() + rememberedMs);
      return null;
    }
    const pending = this.pending.get(digest);
    if (pending !== undefined) return pending;
    // The checks of one host must not take the time of those of others.
    if (this.pending.size >= pendingMax) return overloaded(`${pendingMax} passwords are being checked`);
    const checking = this.ask(host, credentials, digest).finally(() => this.pending.delete(digest));
    this.pending.set(digest, checking);
    return checking;
  }

  private async ask(host: string, { name, password }: Credentials, digest: string): Promise<Refusal | null> {
    // Of an unknown user a hash is checked too, so that the time does not tell which names there are.
    const [another = ''] = this.users.values();
    const hash = this.users.get(name);
    try {
      const isRight = await this.check(password, hash ?? another);
      if (!isRight || hash === undefined) return required(host, 'wrong name or password');
    } catch (error) {
      return overloaded((error as Error).message);
    }
    if (this.remembered.size >= rememberedMax) this.remembered.clear();
    this.remembered.set(digest, this.nowMs() + rememberedMs);
    return null;
  }
}

interface Credentials {
  readonly name: string;
  readonly password: string;
}

/** Null if the field has none of this scheme. */
function credentialsOf(field: string): Credentials | null {
  const [, encoded] = /^basic +([A-Za-z0-9+/_-]+=*)$/i.exec(field) ?? [];
  if (encoded === undefined) return null;
  const text = Buffer.from(encoded, 'base64').toString();
  const colon = text.indexOf(':');
  return colon < 0 ? null : { name: text.slice(0, colon), password: text.slice(colon + 1) };
}

function overloaded(detail: string): Refusal {
  return { code: 'OVERLOADED', status: 503, detail, fields: null };
}

function required(host: string, detail: string): Refusal {
  const fields = new FieldLines();
  fields.add('www-authenticate', `Basic realm="${host}", charset="UTF-8"`);
  return { code: 'CREDENTIALS_REQUIRED', status: 401, detail, fields };
}
