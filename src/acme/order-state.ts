import { createPrivateKey, hash, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import type { NoteTexts } from '../stores/contract.ts';
import { noteName } from '../stores/note-name.ts';
import { AcmeError } from './acme-error.ts';
import { jsonOf } from './messages.ts';

const timeMs = z.number();

const issuedSchema = z.object({
  /** URL of the directory of the authority. */
  authority: z.string(),
  /** As `certificateIdentifier` makes it. */
  identifier: z.string().nullable(),
  /** SHA-256 of the leaf, hexadecimal: whether the certificate in the store is still this one. */
  fingerprint: z.string(),
  notBeforeMs: timeMs,
  notAfterMs: timeMs,
  /** By the clock of the instance that has ordered it. */
  atMs: timeMs,
});

const renewalSchema = z.object({
  atMs: timeMs,
  /** When to ask the authority again; null if it cannot be asked. */
  askAtMs: timeMs.nullable(),
  /** Window that `atMs` was drawn from; null: the authority has said none. */
  window: z.object({ startMs: timeMs, endMs: timeMs, explanationUrl: z.string().nullable() }).nullable(),
});

const failureSchema = z.object({
  /** In a row. */
  count: z.number(),
  atMs: timeMs,
  /** No attempt before. */
  untilMs: timeMs,
  type: z.string(),
  detail: z.string(),
  /** Null if none was asked. */
  authority: z.string().nullable(),
});

const stateSchema = z.object({
  /** The name of a note may be a hash of it. */
  pattern: z.string().default(''),
  /** The certificate that was ordered last. */
  issued: issuedSchema.nullable().default(null),
  renewal: renewalSchema.nullable().default(null),
  /** Under way. `key`: PKCS#8, of the certificate. */
  order: z
    .object({ authority: z.string(), url: z.string(), key: z.string(), begunMs: timeMs })
    .nullable()
    .default(null),
  failure: failureSchema.nullable().default(null),
  /** When the certificate of a host that wants none any more is removed; null: it wants one. */
  removeAtMs: timeMs.nullable().default(null),
  /** Whether an operator wants a new certificate now, whatever there is. */
  isForced: z.boolean().default(false),
  /** Orders that were made in all. */
  orders: z.number().default(0),
});

/** Everything that the fleet knows about the orders for one pattern, except for the certificate itself. */
export type OrderState = Readonly<z.infer<typeof stateSchema>>;

const unordered: OrderState = {
  pattern: '',
  issued: null,
  renewal: null,
  order: null,
  failure: null,
  removeAtMs: null,
  isForced: false,
  orders: 0,
};

/** A state that cannot be read counts as none: the certificate in the store says what is missing. @param text of the note. */
export function readOrderState(text: string | null): OrderState {
  if (text === null) return unordered;
  return stateSchema.safeParse(jsonOf(text)).data ?? unordered;
}

export function orderStateText(state: OrderState): string {
  return JSON.stringify(state);
}

/** When somebody has to look at it again, in epoch ms. */
export function dueAt({ failure, isForced, order, removeAtMs, renewal }: OrderState, nowMs: number): number {
  if (isForced && failure?.type !== 'waits') return nowMs;
  if (removeAtMs !== null) return removeAtMs;
  if (failure !== null && failure.untilMs > nowMs) return failure.untilMs;
  // Its holder looks at it, and others if that one ends.
  if (order !== null) return nowMs + abandonedMs;
  return Math.min(renewal?.atMs ?? nowMs, renewal?.askAtMs ?? Number.POSITIVE_INFINITY);
}

/** How long an order that is under way is left to its holder, in ms: longer than a lease outlives one. */
const abandonedMs = 30_000;

/** PKCS#8, PEM, encrypted if there is a passphrase. Must never be shown. */
export function pemOf(key: KeyObject, passphrase: string | null): string {
  const encryption = passphrase === null ? {} : { cipher: 'aes-256-cbc', passphrase };
  return key.export({ type: 'pkcs8', format: 'pem', ...encryption }).toString();
}

/** @throws AcmeError `keyUnreadable`. */
export function keyOf(pem: string, passphrase: string | null): KeyObject {
  try {
    return createPrivateKey({ key: pem, ...(passphrase === null ? {} : { passphrase }) });
  } catch (cause) {
    throw new AcmeError('a key in the store cannot be decrypted: all instances need the same passphrase', {
      ...{ type: 'keyUnreadable', cause },
    });
  }
}

/** SHA-256 of the text of a certificate, hexadecimal. */
export function fingerprintOf(certificate: string): string {
  return hash('sha256', certificate, 'hex');
}

/** The name of the note that has the state of a pattern. */
export function orderNoteName(pattern: string): string {
  return noteName('order', pattern);
}

/** Has a pattern looked at that has no certificate, whatever becomes of this process; not before a pause after a failure has ended. */
export async function enlistOrder(notes: NoteTexts, pattern: string, nowMs: number): Promise<void> {
  const name = orderNoteName(pattern);
  const text = orderStateText({ ...unordered, pattern });
  if (await notes.write(name, text, { expected: null, dueMs: nowMs })) return;
  const found = await notes.read(name);
  const state = readOrderState(found);
  // A client may have asked before, so that the note would end by itself.
  if (found === null || state.failure === null || state.order !== null || state.issued !== null) return;
  await notes.write(name, found, { expected: found, dueMs: dueAt(state, nowMs) });
}

/** Attempts to write while instances write too. */
const attemptsMax = 20;

/**
 * Asks the fleet for a new certificate, now. An instance that orders finds it within some seconds.
 * @returns whether that was possible: others write the state all the time.
 */
export async function requestOrder(notes: NoteTexts, pattern: string, nowMs: number): Promise<boolean> {
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const text = await notes.read(orderNoteName(pattern));
    const state = readOrderState(text);
    const failure =
      state.failure === null ? null : { ...state.failure, untilMs: Math.min(state.failure.untilMs, nowMs) };
    const next = orderStateText({ ...state, pattern, failure, isForced: true });
    if (await notes.write(orderNoteName(pattern), next, { expected: text, dueMs: nowMs })) return true;
  }
  return false;
}

/** Whether two states differ only in what `requestOrder` changes. */
export function isSameButRequested(a: OrderState, b: OrderState): boolean {
  const rest = ({ failure, ...state }: OrderState): string =>
    JSON.stringify({ ...state, isForced: false, failure: failure === null ? null : { ...failure, untilMs: 0 } });
  return rest(a) === rest(b);
}
