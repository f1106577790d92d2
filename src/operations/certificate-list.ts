import { X509Certificate } from 'node:crypto';
import { readOrderState } from '../acme/order-state.ts';
import { HipacheError } from '../base/errors.ts';
import { parsePattern } from '../routing/host.ts';
import type { Store } from '../stores/contract.ts';
import { isEncrypted } from '../tls/certificate.ts';
import { type ListedCertificate, toListed } from './certificates.ts';
import type { Operation } from './operation.ts';

/** A certificate of the store with its chain. */
export interface ShownCertificate extends ListedCertificate {
  readonly serial: string | null;
  /** SHA-256 of the certificate, hexadecimal with colons. */
  readonly fingerprint: string | null;
  /** The subjects of the certificates that follow the leaf. */
  readonly chain: readonly string[];
  readonly isKeyEncrypted: boolean;
  /** PEM: the leaf, then its chain. */
  readonly pem: string;
}

/** @param passphrase as `listCertificates` takes it. @throws HipacheError COMMAND_INVALID; NOT_FOUND. */
export function showCertificate(
  host: string,
  passphrase: string | null | undefined,
): Operation<Pick<Store, 'certificates'>, ShownCertificate> {
  const pattern = parsePattern(host);
  return async ({ certificates }) => {
    const [record = null] = await certificates.read([pattern]);
    if (record === null) {
      throw new HipacheError('NOT_FOUND', `${pattern} has no certificate; "hipache cert why ${pattern}" says why`);
    }
    const listed = toListed(pattern, record, passphrase);
    const [leaf = null, ...chain] = listed.problem === null ? certificatesOf(record.certificate) : [];
    return {
      ...listed,
      serial: leaf?.serialNumber ?? null,
      fingerprint: leaf?.fingerprint256 ?? null,
      chain: chain.map(({ subject }) => subject.replaceAll('\n', ', ')),
      isKeyEncrypted: isEncrypted(record.key),
      pem: record.certificate,
    };
  };
}

function certificatesOf(pem: string): X509Certificate[] {
  const all = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  return all.map((one) => new X509Certificate(one));
}

/** An order that waits, has failed, or is under way. Times are ISO 8601, UTC. */
export interface WaitingOrder {
  readonly pattern: string;
  /** `asked`: an operator wants it now, or the host has just been written. */
  readonly state: 'failed' | 'waits' | 'under way' | 'asked';
  readonly nextAt: string | null;
  readonly failures: number;
  readonly detail: string | null;
}

/** Notes that are read: more than anybody reads. */
const ordersMax = 10_000;

/**
 * The orders that are not at rest, the next attempt first.
 * @throws HipacheError STORE_UNSUPPORTED for a store that cannot tell.
 */
export async function waitingOrders({ notes }: Pick<Store, 'notes'>, nowMs: number): Promise<WaitingOrder[]> {
  const found = await notes.due(Number.MAX_SAFE_INTEGER, ordersMax);
  return found.flatMap(({ text }): WaitingOrder[] => {
    const { failure, isForced, issued, order, pattern, removeAtMs } = readOrderState(text);
    const nextAt = failure === null ? null : new Date(failure.untilMs).toISOString();
    const [failures, detail] = [failure?.count ?? 0, failure?.detail ?? null];
    if (pattern === '') return [];
    if (failure !== null && failure.untilMs > nowMs) {
      return [{ pattern, state: failures > 0 ? 'failed' : 'waits', nextAt, failures, detail }];
    }
    if (order !== null) return [{ pattern, state: 'under way', nextAt: null, failures, detail }];
    if (isForced || failure !== null || (issued === null && removeAtMs === null)) {
      return [{ pattern, state: 'asked', nextAt: null, failures, detail }];
    }
    return [];
  });
}
