import { type Argon2Algorithm, type Argon2Parameters, argon2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

/** Bounds of the work that one check may take: hashes come from records that others can write. */
const bcryptCostMin = 4;
const bcryptCostMax = 14;
const memoryKibMax = 128 * 1024;
const passesMax = 16;
const lanesMax = 16;
/** The parameters of new hashes: the second choice of RFC 9106 section 4. */
const newHash = { memory: 65_536, passes: 3, parallelism: 4, tagLength: 32 } as const;

/** A hash of a password, as `htpasswd -B` and the tools of argon2 write it. */
export type PasswordHash =
  | { readonly kind: 'bcrypt'; readonly text: string }
  | {
      readonly kind: 'argon2';
      readonly algorithm: Argon2Algorithm;
      readonly memory: number;
      readonly passes: number;
      readonly parallelism: number;
      readonly salt: Buffer;
      readonly tag: Buffer;
    };

/** Null if the text is no hash that can be checked, or one whose check takes too much. */
export function parsePasswordHash(text: string): PasswordHash | null {
  const [, cost] = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/.exec(text) ?? [];
  if (cost !== undefined) {
    return Number(cost) >= bcryptCostMin && Number(cost) <= bcryptCostMax ? { kind: 'bcrypt', text } : null;
  }
  const found =
    /^\$(argon2id|argon2i)\$v=19\$m=(\d{1,7}),t=(\d{1,3}),p=(\d{1,3})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/.exec(text);
  if (found === null) return null;
  const [, algorithm, m, t, p, salt = '', tag = ''] = found;
  const [memory, passes, parallelism] = [m, t, p].map(Number) as [number, number, number];
  if (memory > memoryKibMax || passes > passesMax || parallelism > lanesMax || passes < 1 || parallelism < 1)
    return null;
  const [saltBytes, tagBytes] = [Buffer.from(salt, 'base64'), Buffer.from(tag, 'base64')];
  // RFC 9106 section 3.1.
  if (saltBytes.length < 8 || tagBytes.length < 4 || memory < 8 * parallelism) return null;
  const parameters = { algorithm: algorithm as Argon2Algorithm, memory, passes, parallelism };
  return { kind: 'argon2', ...parameters, salt: saltBytes, tag: tagBytes };
}

/** Makes a hash of argon2id for a password. */
export async function hashPassword(password: string): Promise<string> {
  const nonce = randomBytes(16);
  const tag = await derive('argon2id', { message: Buffer.from(password), nonce, ...newHash });
  const { memory, passes, parallelism } = newHash;
  const encoded = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '');
  return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${encoded(nonce)}$${encoded(tag)}`;
}

/** Whether a password is the one of an argon2 hash. It is computed in a thread of Node's pool. */
export async function checkArgon2(
  password: Buffer,
  hash: PasswordHash & { readonly kind: 'argon2' },
): Promise<boolean> {
  const { algorithm, memory, passes, parallelism, salt, tag } = hash;
  const parameters = { message: password, nonce: salt, memory, passes, parallelism, tagLength: tag.length };
  return timingSafeEqual(await derive(algorithm, parameters), tag);
}

const derive: (algorithm: Argon2Algorithm, parameters: Argon2Parameters) => Promise<Buffer> = promisify(argon2);
