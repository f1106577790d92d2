import { createCipheriv, createDecipheriv, randomBytes, scryptSync } from 'node:crypto';

/** Before a text that is sealed. */
const mark = 'sealed:';
const [saltBytes, ivBytes, tagBytes, keyBytes] = [16, 12, 16, 32] as const;

/** Encrypts a text with a passphrase (scrypt, AES-256-GCM). Takes some 50 ms. */
export function sealText(text: string, passphrase: string): string {
  const [salt, iv] = [randomBytes(saltBytes), randomBytes(ivBytes)];
  const cipher = createCipheriv('aes-256-gcm', scryptSync(passphrase, salt, keyBytes), iv);
  const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
  return mark + Buffer.concat([salt, iv, cipher.getAuthTag(), sealed]).toString('base64');
}

/** The text that was sealed; one that is not sealed, as it is. @throws Error if the passphrase is another one. */
export function openText(sealed: string, passphrase: string | null): string {
  if (!sealed.startsWith(mark)) return sealed;
  if (passphrase === null) throw new Error('it is encrypted, and there is no passphrase');
  const bytes = Buffer.from(sealed.slice(mark.length), 'base64');
  const [salt, iv] = [bytes.subarray(0, saltBytes), bytes.subarray(saltBytes, saltBytes + ivBytes)];
  const tag = bytes.subarray(saltBytes + ivBytes, saltBytes + ivBytes + tagBytes);
  try {
    const decipher = createDecipheriv('aes-256-gcm', scryptSync(passphrase, salt, keyBytes), iv);
    decipher.setAuthTag(tag);
    const text = bytes.subarray(saltBytes + ivBytes + tagBytes);
    return Buffer.concat([decipher.update(text), decipher.final()]).toString('utf8');
  } catch (cause) {
    throw new Error('it cannot be decrypted: all instances need the same passphrase', { cause });
  }
}
