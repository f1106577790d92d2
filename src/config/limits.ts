import { z } from 'zod';
import { seconds, wholeNumber } from './keys.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;

/** `limits`: what one process may hold, buffer and wait for. Every limit has its unit in its name. */
export const limitsSection = z.object({
  headBytesMax: wholeNumber(1 * KiB, 1 * MiB, 32 * KiB, {
    source: 'new',
    unit: 'bytes',
    description: 'The head of a request or of a response: its first line and fields. A longer request gets 431.',
  }),
  headFieldsMax: wholeNumber(8, 10_000, 100, {
    source: 'new',
    unit: 'fields',
    description: 'Fields in a head. A request with more gets 431.',
  }),
  targetBytesMax: wholeNumber(64, 1 * MiB, 8 * KiB, {
    source: 'new',
    unit: 'bytes',
    description: 'The target of a request. A longer one gets 414. Bounded by `headBytesMax` as well.',
  }),
  headTimeoutSeconds: seconds(0.1, 3600, 10, {
    source: 'new',
    description: 'From the first byte of a request to the end of its head. Then: 408.',
  }),
  keepAliveSeconds: seconds(0, 86_400, 75, {
    source: 'new',
    description: 'How long a client connection may be idle between requests. 0 closes it after each response.',
  }),
  connectTimeoutSeconds: seconds(0.1, 600, 5, {
    source: 'new',
    description: 'Connecting to a backend. Then another backend is tried.',
  }),
  backendIdleSeconds: seconds(0, 86_400, 60, {
    source: 'new',
    description: 'How long an idle backend connection is kept for the next request. 0 keeps none.',
  }),
  queueMax: wholeNumber(0, 1_000_000, 1000, {
    source: 'new',
    unit: 'requests',
    description: 'Requests that wait for one of the `server.maxSockets` connections of a backend. 0: none waits.',
  }),
  queueTimeoutSeconds: seconds(0.01, 3600, 5, {
    source: 'new',
    description: 'How long a request waits there.',
  }),
  retryBodyBytesMax: wholeNumber(0, 64 * MiB, 64 * KiB, {
    source: 'new',
    unit: 'bytes',
    description: 'A request body is kept up to this length, so that the request can be sent to another backend.',
  }),
  retryBudgetPercent: wholeNumber(0, 100, 20, {
    source: 'new',
    unit: 'percent',
    description: 'Retries of a host are at most this share of its requests, so that an outage is not amplified.',
  }),
  informationalResponsesMax: wholeNumber(0, 1000, 16, {
    source: 'new',
    unit: 'responses',
    description: 'Informational (1xx) responses that a backend may send ahead of its response to one request.',
  }),
  connectionsMax: wholeNumber(1, 1_000_000, 20_000, {
    source: 'new',
    unit: 'connections',
    description: 'Client connections that are open at once. Above it new ones are closed.',
  }),
  requestsPerHostMax: wholeNumber(1, 1_000_000, 10_000, {
    source: 'new',
    unit: 'requests',
    description: 'Requests of one host that are under way at once.',
  }),
  tunnelIdleSeconds: seconds(0, 31_536_000, 3600, {
    source: 'new',
    description: 'How long a WebSocket may be open without a byte in either direction. 0: no limit.',
  }),
  tunnelsPerHostMax: wholeNumber(1, 1_000_000, 10_000, {
    source: 'new',
    unit: 'tunnels',
    description: 'WebSockets of one host that are open at once. Above it handshakes get 503.',
  }),
  writeBufferBytesMax: wholeNumber(4 * KiB, 16 * MiB, 64 * KiB, {
    source: 'new',
    unit: 'bytes',
    description: 'Bytes that wait to be written on one socket before the other side of the exchange is paused.',
  }),
  cacheEntriesMax: wholeNumber(1, 10_000_000, 200_000, {
    source: 'new',
    unit: 'hosts',
    description: 'Host patterns in the route cache. `server.lruCache.size` sets it too.',
  }),
  cacheBytesMax: wholeNumber(64 * KiB, 64 * GiB, 256 * MiB, {
    source: 'new',
    unit: 'bytes',
    description: 'Estimated size of the route cache.',
  }),
  cacheNegativeEntriesMax: wholeNumber(0, 10_000_000, 50_000, {
    source: 'new',
    unit: 'names',
    description: 'Host names that are remembered to have no route.',
  }),
  workerMemoryBytesMax: wholeNumber(0, 1024 * GiB, 1 * GiB, {
    source: 'new',
    unit: 'bytes',
    description: 'Resident memory of a worker. One that stays above it is replaced, without loss. 0: no limit.',
  }),
  certificatesMax: wholeNumber(1, 1_000_000, 1000, {
    source: 'new',
    unit: 'certificates',
    description: 'Certificates chosen by SNI that are kept ready, about 40 KB each.',
  }),
  accessLogBufferBytesMax: wholeNumber(4 * KiB, 1 * GiB, 8 * MiB, {
    source: 'new',
    unit: 'bytes',
    description: 'Access log lines that wait to be written. Beyond it lines are dropped and counted.',
  }),
});
