import { z } from 'zod';
import { key, seconds, wholeNumber } from './keys.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;

/** `limits`: what one process may hold, buffer and wait for. Every limit has its unit in its name. */
export const limitsSection = z.object({
  headBytesMax: wholeNumber(1 * KiB, 1 * MiB, 32 * KiB, {
    source: 'new',
    unit: 'bytes',
    description: 'Size of the head of a request: its first line and fields. A longer one gets 431.',
  }),
  headFieldsMax: wholeNumber(8, 10_000, 100, {
    source: 'new',
    unit: 'fields',
    description: 'Number of fields in the head of a request. One with more gets 431.',
  }),
  responseHeadBytesMax: wholeNumber(1 * KiB, 16 * MiB, 256 * KiB, {
    source: 'new',
    unit: 'bytes',
    description: 'Size of the head of a response. For a longer one the client gets 502.',
  }),
  responseHeadFieldsMax: wholeNumber(8, 100_000, 1000, {
    source: 'new',
    unit: 'fields',
    description: 'Number of fields in the head of a response. For one with more the client gets 502.',
  }),
  targetBytesMax: wholeNumber(64, 1 * MiB, 8 * KiB, {
    source: 'new',
    unit: 'bytes',
    description: 'Length of a request target. A longer one gets 414. `headBytesMax` limits it as well.',
  }),
  headTimeoutSeconds: seconds(0.1, 3600, 10, {
    source: 'new',
    description:
      'Time from the first byte of a request to the end of its head. After that it gets 408. A new connection must have sent the first byte within this time as well, or is closed.',
  }),
  bodyBytesPerSecondMin: wholeNumber(0, 1_000_000_000, 500, {
    source: 'new',
    unit: 'bytes per second',
    description:
      'Average rate below which a request body is too slow: the request gets 408. 0: no limit, and a backend connection is used before any of the body has come.',
  }),
  bodyGraceSeconds: seconds(0.1, 3600, 10, {
    source: 'new',
    description: 'Time from the head of a request until that rate counts.',
  }),
  passesMax: wholeNumber(0, 1000, 10, {
    source: 'new',
    unit: 'passes',
    description:
      'How often one request may pass through Hipache, counted in `CDN-Loop` (RFC 8586). One more pass gets 508: a backend leads back. 0: no limit, and the field is not sent.',
  }),
  keepAliveSeconds: seconds(0, 86_400, 75, {
    source: 'new',
    description: 'How long a client connection may be idle between requests. 0 closes it after each response.',
  }),
  connectTimeoutSeconds: seconds(0.1, 600, 5, {
    source: 'new',
    description: 'Time to connect to a backend. After that, another backend is tried.',
  }),
  backendIdleSeconds: seconds(0, 86_400, 60, {
    source: 'new',
    description: 'How long an idle backend connection is kept for the next request. 0 keeps none.',
  }),
  backendAgeSeconds: seconds(1, 31_536_000, 600, {
    source: 'new',
    description:
      'How old a kept backend connection may become. It then ends after its request, and a new one is opened.',
  }),
  responseIdleSeconds: key(z.number().min(0).max(31_536_000).optional(), {
    source: 'new',
    unit: 'seconds',
    description:
      'How long a backend may be silent within a response, such as an event stream, once its head has come. 0: no limit.',
    allowed: 'a number from 0 to 31536000',
    default: '300, or `server.tcpTimeout` if that is longer or 0',
  }),
  queueMax: wholeNumber(0, 1_000_000, 1000, {
    source: 'new',
    unit: 'requests',
    description: 'Requests queued for the `server.maxSockets` connections of a backend. 0: requests never wait.',
  }),
  queueTimeoutSeconds: seconds(0.01, 3600, 5, {
    source: 'new',
    description: 'How long a request may wait in that queue.',
  }),
  retryBodyBytesMax: wholeNumber(0, 64 * MiB, 64 * KiB, {
    source: 'new',
    unit: 'bytes',
    description: 'Up to this length, a request body is kept so that the request can be resent to another backend.',
  }),
  retrySeconds: seconds(0, 86_400, 30, {
    source: 'new',
    description:
      'How long after its first attempt a request may be sent to another backend. After that, its failure is final.',
  }),
  retryBudgetPercent: wholeNumber(0, 100, 20, {
    source: 'new',
    unit: 'percent',
    description:
      'Largest share of the requests of a host that may be retries, so that retries do not amplify an outage.',
  }),
  informationalResponsesMax: wholeNumber(0, 1000, 16, {
    source: 'new',
    unit: 'responses',
    description:
      'Informational (1xx) responses that a backend may send before its response to one request. Of 102 and 103, this many at once, 10 per second on average, and 10,000 in all.',
  }),
  connectionsMax: key(z.union([z.int().min(1).max(1_000_000), z.literal('auto')]).default('auto'), {
    source: 'new',
    unit: 'connections',
    description:
      'Client connections open at the same time. Further ones are closed. "auto": as many as the descriptors of the process allow for clients and backends together.',
    allowed: 'a whole number from 1 to 1000000, or "auto"',
    default: '"auto"',
  }),
  requestsPerHostMax: wholeNumber(1, 1_000_000, 10_000, {
    source: 'new',
    unit: 'requests',
    description: 'Active requests of one host at the same time. Further ones get 503.',
  }),
  tunnelIdleSeconds: seconds(0, 31_536_000, 3600, {
    source: 'new',
    description: 'How long a WebSocket may be open without a byte in either direction. 0: no limit.',
  }),
  tunnelsPerHostMax: wholeNumber(1, 1_000_000, 10_000, {
    source: 'new',
    unit: 'tunnels',
    description: 'WebSockets of one host open at the same time. Further handshakes get 503.',
  }),
  http2StreamsMax: wholeNumber(1, 10_000, 100, {
    source: 'new',
    unit: 'requests',
    description:
      'Active requests and WebSockets of one HTTP/2 connection at the same time. Clients keep further ones back.',
  }),
  http2BackendStreamsMax: wholeNumber(1, 10_000, 100, {
    source: 'new',
    unit: 'requests',
    description:
      'Active requests and WebSockets of one HTTP/2 connection to a backend at the same time. Further ones get a connection of their own. A backend may allow less.',
  }),
  http2WindowBytes: wholeNumber(64 * KiB, 16 * MiB, 64 * KiB, {
    source: 'new',
    unit: 'bytes',
    description:
      'How much of the body of one request over HTTP/2 may be under way. Longer lines need more: rate times round trip.',
  }),
  http2ConnectionWindowBytes: wholeNumber(64 * KiB, 256 * MiB, 1 * MiB, {
    source: 'new',
    unit: 'bytes',
    description:
      'The same for all requests of a connection together, and how much of them is kept for backends that do not keep up.',
  }),
  http2BudgetTokens: wholeNumber(1000, 1_000_000, 10_000, {
    source: 'new',
    unit: 'tokens',
    description:
      'How many tokens a connection of HTTP/2 may spend at once on frames that carry no message, before it is ended: 5 for a reset or a ping, 50 for settings.',
  }),
  http2BudgetPerSecond: wholeNumber(1, 100_000, 200, {
    source: 'new',
    unit: 'tokens',
    description: 'How many of these tokens a connection gets back in a second, besides those for its messages.',
  }),
  writeBufferBytesMax: wholeNumber(4 * KiB, 16 * MiB, 64 * KiB, {
    source: 'new',
    unit: 'bytes',
    description: 'Unwritten bytes on one socket at which the other side of the exchange is paused.',
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
    description: 'Host names remembered as having no route.',
  }),
  workerMemoryBytesMax: wholeNumber(0, 1024 * GiB, 1 * GiB, {
    source: 'new',
    unit: 'bytes',
    description: 'Resident memory of a worker. One that stays above it is replaced without loss. 0: no limit.',
  }),
  certificatesBytesMax: wholeNumber(4 * MiB, 64 * GiB, 64 * MiB, {
    source: 'new',
    unit: 'bytes',
    description:
      'Estimated size of the certificates chosen by SNI that are kept in memory, in each worker: up to a quarter for their texts, some 3 KB each, the rest for those that are used most, ready to use, some 34 KB more each.',
  }),
  certificatesMax: key(z.int().min(1).max(1_000_000).optional(), {
    source: 'new',
    unit: 'certificates',
    description: 'Number of these certificates, as well.',
    allowed: 'a whole number from 1 to 1000000',
    default: 'none: `certificatesBytesMax` alone limits them',
  }),
  accessLogBufferBytesMax: wholeNumber(4 * KiB, 1 * GiB, 8 * MiB, {
    source: 'new',
    unit: 'bytes',
    description: 'Unwritten access log lines. Beyond it, lines are dropped and counted.',
  }),
});
