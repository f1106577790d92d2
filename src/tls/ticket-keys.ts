import { randomBytes } from 'node:crypto';
import type { SecureContext } from 'node:tls';

/**
 * Keys that seal session tickets (RFC 5077 section 4), 48 bytes each: a name of 16, then 16 for HMAC-SHA-256 and 16 for
 * AES-128-CBC. The first one seals; all of them open, so that sessions outlive a rotation.
 */
export type TicketKeys = readonly Uint8Array[];

const keyBytes = 48;

export function newTicketKey(): Uint8Array {
  return randomBytes(keyBytes);
}

export function isTicketKey(key: Uint8Array): boolean {
  return key.length === keyBytes;
}

/** OpenSSL's words for a ticket: unknown, usable, or usable and to be replaced by a new one. */
const [unknown, usable, replaced] = [0, 1, 2] as const;

type TicketAnswer = readonly [status: number, hmac: Uint8Array, aes: Uint8Array, name?: Uint8Array, iv?: Uint8Array];

/** The non-public parts of a context. Node ends the process if the callback returns anything else than such an array. */
interface TicketContext {
  enableTicketKeyCallback?(): void;
  onticketkeycallback?: (name: Uint8Array, iv: Uint8Array, isSealing: boolean) => TicketAnswer;
  setTicketKeys(key: Uint8Array): void;
}

/** Seals and opens the sessions of a context with these keys from now on. */
export function useTicketKeys(context: SecureContext, keys: TicketKeys): void {
  const handle = context.context as TicketContext;
  const parts = keys.map((key) => ({
    name: Buffer.from(key.subarray(0, 16)),
    hmac: Buffer.from(key.subarray(16, 32)),
    aes: Buffer.from(key.subarray(32, 48)),
  }));
  const [first] = parts;
  if (first === undefined) return;
  // A Node without it has one key.
  if (handle.enableTicketKeyCallback === undefined) {
    handle.setTicketKeys(Buffer.concat([first.name, first.hmac, first.aes]));
    return;
  }
  if (handle.onticketkeycallback === undefined) handle.enableTicketKeyCallback();
  handle.onticketkeycallback = (name, _iv, isSealing) => {
    if (isSealing) return [usable, first.hmac, first.aes, first.name, randomBytes(16)];
    const index = parts.findIndex((part) => part.name.equals(name));
    const found = parts[index];
    if (found === undefined) return [unknown, first.hmac, first.aes];
    return [index === 0 ? usable : replaced, found.hmac, found.aes];
  };
}
