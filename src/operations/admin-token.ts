import { createHash, randomBytes } from 'node:crypto';
import { HipacheError } from '../base/errors.ts';

/** A new token of the admin API. */
export interface MadeToken {
  /** To be given to its owner: it is not kept anywhere. */
  readonly token: string;
  /** An element of `admin.tokens` in the configuration. */
  readonly entry: { readonly name: string; readonly hash: string; readonly access: 'read' | 'write' };
}

/** With so many random bits, a fast hash is as good as a slow one. */
const tokenBytes = 32;
const nameCharsMax = 100;

/** @throws HipacheError COMMAND_INVALID. */
export function makeAdminToken(name: string, access: 'read' | 'write'): MadeToken {
  if (name === '' || name.length > nameCharsMax) {
    throw new HipacheError('COMMAND_INVALID', `the name of a token has 1 to ${nameCharsMax} characters`);
  }
  const token = `hipache_${randomBytes(tokenBytes).toString('base64url')}`;
  return { token, entry: { name, hash: `sha256:${createHash('sha256').update(token).digest('hex')}`, access } };
}
