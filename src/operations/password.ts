import { HipacheError } from '../base/errors.ts';
import { hashPassword } from '../passwords/password-hash.ts';

/**
 * A line for the option `basicAuth`: a name, and a hash of argon2id.
 * @throws HipacheError COMMAND_INVALID.
 */
export async function passwordLine(name: string, password: string): Promise<string> {
  if (!/^[^:\s]+$/.test(name)) {
    throw new HipacheError('COMMAND_INVALID', 'the name of the user must have neither blanks nor colons (RFC 7617)');
  }
  if (password === '') throw new HipacheError('COMMAND_INVALID', 'give the password on the standard input');
  return `${name}:${await hashPassword(password)}`;
}
