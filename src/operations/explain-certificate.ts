import type { Store } from '../stores/contract.ts';
import { type CertificateStanding, certificateStanding, type OrderingConfig } from './certificate-standing.ts';
import { toListed } from './certificates.ts';

/** A certificate that ends sooner is worth a warning, in ms, or in this part of its life: what is renewed at all is renewed before. */
const soonMs = 3 * 24 * 3600_000;
const lastPart = 1 / 10;

/**
 * Warnings about the certificate of a host, of which its clients complain.
 * @param host an exact one. @throws what the store throws.
 */
export async function certificateProblems(
  host: string,
  store: Pick<Store, 'certificates' | 'notes' | 'routes'>,
  ordering: OrderingConfig,
  nowMs: number,
): Promise<string[]> {
  // Nothing is known of orders where none are made, and nothing else of it is to be read.
  if (ordering.directory.length === 0) {
    const [record = null] = await store.certificates.read([host]);
    const problem = record === null ? null : problemOf(toListed(host, record, ordering.passphrase), nowMs);
    return problem === null ? [] : [problem];
  }
  const standing = await certificateStanding(host, ordering)(store);
  const { certificate, coveredBy, isWanted, orderedAs } = standing;
  if (certificate !== null)
    return [problemOf(certificate, nowMs), orderProblem(standing)].filter((one) => one !== null);
  if (!isWanted || coveredBy !== null) return [];
  if (orderedAs !== null) return [`the certificate of ${orderedAs}, which the host uses, has not been ordered yet`];
  const order = orderProblem(standing);
  return [order === null ? 'no certificate has been ordered for it yet' : `it has no certificate: ${order}`];
}

function problemOf(
  { notAfter, notBefore, problem }: NonNullable<CertificateStanding['certificate']>,
  nowMs: number,
): string | null {
  if (problem !== null) return `its certificate cannot be used: ${problem}`;
  if (Date.parse(notAfter ?? '') <= nowMs) return `its certificate has expired on ${notAfter}`;
  if (Date.parse(notBefore ?? '') > nowMs) return `its certificate is not valid before ${notBefore}`;
  const lifeMs = Date.parse(notAfter ?? '') - Date.parse(notBefore ?? '');
  const leftMs = Date.parse(notAfter ?? '') - nowMs;
  return leftMs < Math.min(soonMs, lifeMs * lastPart) ? `its certificate ends on ${notAfter}` : null;
}

function orderProblem({ failure, isWanted, notOrderable }: CertificateStanding): string | null {
  if (!isWanted) return null;
  if (notOrderable !== null) return `no authority issues for it: ${notOrderable}`;
  return failure === null
    ? null
    : `its certificate is not ordered: ${failure.detail}; next attempt at ${failure.nextAt}`;
}
