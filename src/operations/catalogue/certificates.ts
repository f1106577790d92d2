import { z } from 'zod';
import {
  type CertificateStanding,
  certificateStanding,
  type OrderingConfig,
  orderCertificate,
  orderingOf,
} from '../certificate-standing.ts';
import {
  type ListedCertificate,
  pageOfCertificates,
  type RemovedCertificate,
  removeCertificate,
  type ShownCertificate,
  setCertificate,
  showCertificate,
  type WrittenCertificate,
} from '../certificates.ts';
import { type RevokedCertificate, revocationReasons, revokeCertificate } from '../revoke-certificate.ts';
import { type WaitingOrder, waitingOrders } from '../waiting-orders.ts';
import { nextField, pageFields, time } from './common.ts';
import { type OperationMeans, reading, writing } from './described.ts';

const orderSecondsDefault = 120;
/** A certificate with its chain, or a key, in characters. */
const pemCharsMax = 256 * 1024;

const hostField = z.string().min(1).max(1024).meta({ description: 'A host, `*.domain` or `*`.' });

const listedFields = {
  pattern: z.string(),
  names: z.array(z.string()),
  notBefore: time.nullable(),
  notAfter: time.nullable(),
  issuer: z.string().nullable(),
  keyType: z.string().nullable(),
  problem: z.string().nullable().meta({ description: 'Why it cannot be used.' }),
};

const listedCertificate = z
  .object(listedFields)
  .meta({ id: 'ListedCertificate', description: 'Never with its key.' }) satisfies z.ZodType<ListedCertificate>;

const shownCertificate = z
  .object({
    ...listedFields,
    serial: z.string().nullable(),
    fingerprint: z.string().nullable().meta({ description: 'SHA-256, hexadecimal with colons.' }),
    chain: z.array(z.string()).meta({ description: 'The subjects of the certificates that follow the leaf.' }),
    isKeyEncrypted: z.boolean(),
    pem: z.string(),
  })
  .meta({ id: 'Certificate' }) satisfies z.ZodType<ShownCertificate>;

const writtenCertificate = z.object({
  pattern: z.string(),
  action: z.enum(['created', 'replaced']),
  names: z.array(z.string()),
  notBefore: time,
  notAfter: time,
  issuer: z.string(),
  keyType: z.string(),
  warnings: z.array(z.string()),
}) satisfies z.ZodType<WrittenCertificate>;

const removedCertificate = z.object({
  pattern: z.string(),
  removed: z.literal(true),
}) satisfies z.ZodType<RemovedCertificate>;

const standing = z
  .object({
    pattern: z.string(),
    certificate: listedCertificate.nullable(),
    coveredBy: z.string().nullable(),
    isWanted: z.boolean(),
    orderedAs: z.string().nullable(),
    records: z.array(z.object({ name: z.string(), value: z.string() })),
    notOrderable: z.string().nullable(),
    isOrdering: z.boolean(),
    authority: z.string().nullable(),
    renewal: z.object({ at: time, window: z.string().nullable(), explanation: z.string().nullable() }).nullable(),
    order: z.object({ authority: z.string(), url: z.string(), since: time }).nullable(),
    failure: z
      .object({
        at: time,
        nextAt: time,
        type: z.string(),
        detail: z.string(),
        authority: z.string().nullable(),
        count: z.number(),
      })
      .nullable(),
    orders: z.number(),
  })
  .meta({ id: 'CertificateStanding' }) satisfies z.ZodType<CertificateStanding>;

const revokedCertificate = z.object({
  pattern: z.string(),
  serial: z.string(),
  authority: z.string(),
  reason: z.string(),
  isReplaced: z.boolean(),
}) satisfies z.ZodType<RevokedCertificate>;

const waitingOrder = z
  .object({
    pattern: z.string(),
    state: z.enum(['failed', 'waits', 'under way', 'asked']),
    nextAt: time.nullable(),
    failures: z.number(),
    detail: z.string().nullable(),
  })
  .meta({ id: 'WaitingOrder' }) satisfies z.ZodType<WaitingOrder>;

export const certificateOperations = {
  listCertificates: reading({
    summary: 'Lists the certificates of the store, without their keys, a page at a time.',
    input: z.object(pageFields),
    result: z.object({ certificates: z.array(listedCertificate), next: nextField }),
    prepare: (page, means) => (store) => pageOfCertificates(store, page, ordering(means).passphrase),
  }),
  showCertificate: reading({
    summary: 'Shows the certificate that the store has for a host, without its key.',
    input: z.object({ host: hostField }),
    result: shownCertificate,
    prepare: ({ host }, means) => showCertificate(host, ordering(means).passphrase),
  }),
  setCertificate: writing({
    summary: 'Stores a certificate and its key, replacing any existing one.',
    input: z.object({
      host: hostField,
      certificate: z.string().max(pemCharsMax).meta({ description: 'PEM: the certificate, followed by its chain.' }),
      key: z.string().max(pemCharsMax).meta({ description: 'PEM: its private key.' }),
    }),
    result: writtenCertificate,
    creates: () => true,
    prepare: ({ certificate, host, key }, { now }) => setCertificate(host, { certificate, key }, now),
  }),
  removeCertificate: writing({
    summary: 'Removes a certificate and its key from the store.',
    input: z.object({ host: hostField }),
    result: removedCertificate,
    prepare: ({ host }) => removeCertificate(host),
  }),
  certificateStanding: reading({
    summary: 'Shows which certificate a host has, why, and what its orders wait for.',
    input: z.object({ host: hostField }),
    result: standing,
    prepare: ({ host }, means) => certificateStanding(host, ordering(means)),
  }),
  orderCertificate: writing({
    summary: 'Has a new certificate ordered now, by a running instance, and waits for it.',
    input: z.object({
      host: hostField,
      waitSeconds: z.number().min(0).max(3600).default(orderSecondsDefault).meta({ description: 'How long to wait.' }),
    }),
    result: standing,
    prepare: ({ host, waitSeconds }, means) => orderCertificate(host, ordering(means), waitSeconds * 1000, means.now),
  }),
  revokeCertificate: writing({
    summary: 'Revokes the certificate that was ordered for a host, and has another one ordered.',
    input: z.object({
      host: hostField,
      reason: z
        .string()
        .default('unspecified')
        .meta({ description: `One of ${Object.keys(revocationReasons).join(', ')}.` }),
    }),
    result: revokedCertificate,
    prepare: ({ host, reason }, { config, now }) => revokeCertificate(host, reason, config?.acme ?? null, now),
  }),
  waitingOrders: reading({
    summary: 'Lists the names whose orders wait, have failed or are under way, the next attempt first.',
    input: z.object({}),
    result: z.object({ orders: z.array(waitingOrder) }),
    prepare:
      (_input, { now }) =>
      async (store) => ({ orders: await waitingOrders(store, now()) }),
  }),
};

function ordering({ config }: OperationMeans): OrderingConfig {
  return orderingOf(config);
}
