import { z } from 'zod';
import { parseLogTarget, syslogFacilities } from '../base/log-target.ts';
import { readNetwork } from '../base/networks.ts';
import { key, oneOf, seconds, text, trueOrFalse, wholeNumber } from './keys.ts';
import { isNetworkFile } from './network-files.ts';

/** `server`: everything except listeners and limits. Names and defaults are those of Hipache 0.4. */
export const serverSection = z.object({
  debug: trueOrFalse(false, {
    source: '0.4',
    description: 'Verbose operational log: the same as `server.logLevel` "debug".',
  }),
  logLevel: oneOf(['trace', 'debug', 'info', 'warn', 'error', 'fatal'], {
    source: 'new',
    description: 'Lowest level written to the operational log.',
    default: '"info"',
  }),
  logFormat: oneOf(['text', 'json'], {
    source: 'new',
    description: 'Format of the operational log: lines for people, or one JSON object per line.',
    default: '"text"',
  }),
  accessLog: text({
    source: '0.4',
    description:
      'File of the access log; "-" is the standard output. SIGUSR1 reopens it after a rotation. A URL is that of a server of syslog: over UDP, TCP, or a Unix socket (a stream).',
    allowed: 'a path, "-", "syslog://host:514", "syslog+tcp://host:514" or "syslog+unix:///path"',
    default: '"/var/log/hipache/access.log"; without a file "-"',
  })
    .refine((target) => parseLogTarget(target) !== null)
    .optional(),
  accessLogFacility: oneOf(syslogFacilities, {
    source: 'new',
    description: 'Facility of the access log in messages to a server of syslog.',
    default: '"local0"',
  }),
  accessLogSample: key(z.number().min(0).max(1).default(1), {
    source: 'new',
    description:
      'Share of the good requests that have a line in the access log. Those that fail through no fault of the client always have one. ' +
      'The option `accessLog` of a host takes precedence.',
    allowed: 'a number from 0 to 1',
    default: '1',
  }),
  accessLogFormat: oneOf(['hipache', 'json'], {
    source: 'new',
    description: "Format of the access log: Hipache's own, or one JSON object per line.",
    default: '"hipache"',
  }),
  workers: key(z.union([z.int().min(1).max(1024), z.literal('auto')]).default('auto'), {
    source: '0.4',
    unit: 'processes',
    description: 'Worker processes. "auto": as many as CPUs are available (the original: 10).',
    allowed: 'a whole number from 1 to 1024, or "auto"',
    default: '"auto"',
  }),
  workerStuckSeconds: seconds(1, 86_400, 60, {
    source: 'new',
    description: 'A worker that gives no sign of life for this long is killed and replaced.',
  }),
  memoryCheckSeconds: seconds(0.1, 86_400, 60, {
    source: 'new',
    description: 'How often a worker compares its memory with `limits.workerMemoryBytesMax`.',
  }),
  maxSockets: wholeNumber(1, 100_000, 100, {
    source: '0.4',
    unit: 'connections',
    description: 'Connections to one backend, per process. Further requests are queued (`limits.queueMax`).',
  }),
  tcpTimeout: seconds(0, 86_400, 30, {
    source: '0.4',
    description:
      'Inactivity on a socket during a request, until the head of the response has come (`limits.responseIdleSeconds`). 0: no limit.',
  }),
  deadBackendTTL: seconds(0, 86_400, 30, {
    source: '0.4',
    description: 'How long a backend stays marked dead. 0: backends are never marked.',
  }),
  recoveryProbeSeconds: seconds(0, 3600, 2, {
    source: 'new',
    description:
      'Time from marking a backend dead to probing whether it has recovered; further probes wait up to five times as long. 0: no probes, marks only expire.',
  }),
  deadBackendOn500: trueOrFalse(true, {
    source: '0.4',
    description: 'Whether a 500 counts as a failure of the backend. It marks by its share of the requests only.',
  }),
  deadBackendRule: oneOf(['share', 'first'], {
    source: 'new',
    description:
      'When 502, 503, 504 and time-outs mark a backend dead: "share", if they are enough of its recent requests; "first", at the first one, as in Hipache 0.4.',
    default: '"first"; without a file "share"',
  }),
  deadBackendFailuresMin: wholeNumber(1, 1_000_000, 5, {
    source: 'new',
    unit: 'failures',
    description: 'For the share: failures within the last 5 to 10 seconds, in one worker, below which none marks.',
  }),
  deadBackendFailurePercent: wholeNumber(1, 100, 50, {
    source: 'new',
    unit: 'percent',
    description: 'For the share: the part of the requests of that time that must have failed.',
  }),
  retryOnError: wholeNumber(0, 100, 3, {
    source: '0.4',
    unit: 'retries',
    description: 'How often a failed request is retried if that is safe. 0: never.',
  }),
  retryOnTimeout: trueOrFalse(false, {
    source: 'new',
    description:
      'Whether an idempotent request is retried on another backend if one does not respond within `server.tcpTimeout`. Hipache 0.4 does that: a slow request then runs on every backend.',
  }),
  httpKeepAlive: key(z.boolean().optional(), {
    source: '0.4',
    description: 'Whether backend connections are kept open for the next request.',
    allowed: 'true or false',
    default: 'false; without a file true',
  }),
  staticDir: key(z.string().min(1).nullable().default(null), {
    source: '0.4',
    description:
      'Directory of custom error pages, `error_<CODE>.html`, `error_<status>.html` and `error_default.html`; null: the built-in pages.',
    allowed: 'a path, or null',
    default: 'null',
  }),
  lruCache: key(z.union([lruCache(), z.literal(false), z.null()]).optional(), {
    source: '0.4',
    description: 'The route cache of the original. Here it is always on, and the store notifies it of changes.',
    allowed: 'an object of size and ttl, or null',
    default: 'none',
  }),
  trustedProxies: key(
    z
      .array(
        key(
          z.string().refine((entry) => readNetwork(entry) !== null || isNetworkFile(entry)),
          {
            source: 'new',
            description: 'One address or network, or a file of them.',
            allowed:
              'an IP address, a network such as "10.0.0.0/8", or a file of them, "file:/etc/hipache/networks.txt"',
          },
        ),
      )
      .max(10_000)
      .default([]),
    {
      source: 'new',
      description:
        'Peers whose `X-Forwarded-*`, `X-Real-IP` and `Forwarded` are trusted and extended. From any other peer they are replaced.',
      allowed:
        'an array of IP addresses, networks such as "10.0.0.0/8", and files of them such as "file:/etc/hipache/networks.txt"',
      default: '[]',
    },
  ),
  mappedAddresses: key(z.boolean().optional(), {
    source: 'new',
    description:
      'Whether backends get IPv4 addresses of clients as `::ffff:203.0.113.9`, as from Hipache 0.4, or as `203.0.113.9`.',
    allowed: 'true or false',
    default: 'false; with a file that has only keys of Hipache 0.3 and 0.4 true',
  }),
  xForwardedProtocol: trueOrFalse(false, {
    source: 'new',
    description:
      'Whether backends get `X-Forwarded-Protocol` too, as from Hipache 0.4. gunicorn refuses every request over TLS that has it, because it expects `ssl` there.',
  }),
  forwarded: trueOrFalse(false, {
    source: 'new',
    description: 'Whether backends get the `Forwarded` field of RFC 7239 too.',
  }),
  upgrades: key(
    z
      .array(
        key(
          z
            .string()
            .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:\/[!#$%&'*+.^_`|~0-9A-Za-z-]+)?$/)
            .refine((name) => !/^(websocket|h2c|http\/.*|tls\/.*)$/i.test(name)),
          {
            source: 'new',
            description: 'One protocol.',
            allowed: 'a name such as "tcp" or "SPDY/3.1"; not websocket, h2c, HTTP/… or TLS/…',
          },
        ),
      )
      .max(100)
      .default([]),
    {
      source: 'new',
      description:
        'Protocols besides WebSocket to which clients may switch (`Upgrade`), such as `tcp` for `docker exec` and `SPDY/3.1` for `kubectl`. The connection is a tunnel from then on. The option `upgrades` of a host replaces the list.',
      allowed: 'an array of names such as "tcp"',
      default: '[]',
    },
  ),
  via: key(
    z
      .string()
      .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/)
      .nullable()
      .default(null),
    {
      source: 'new',
      description: 'Name of this proxy in the `Via` field of requests and responses; null: the field is not sent.',
      allowed: 'a name without blanks, such as "hipache", or null',
      default: 'null',
    },
  ),
  listenWaitSeconds: seconds(0, 600, 10, {
    source: 'new',
    description:
      'How long a start waits for an address on which another program listens, such as an instance that is about to stop. 0: it fails at once.',
  }),
  pidFile: key(z.string().min(1).nullable().default(null), {
    source: 'new',
    description:
      'File with the process id of the primary, for `hipache upgrade`; null: none. The user must be able to write to its directory.',
    allowed: 'a path, or null',
    default: 'null',
  }),
  snapshotDirectory: key(z.string().min(1).nullable().optional(), {
    source: 'new',
    description:
      'Directory of the [snapshot](outages.md#the-snapshot) of a store that is a server, from which a start serves while the store is away; null: none.',
    allowed: 'a path, or null',
    default: "systemd's state directory, for root `/var/lib/hipache`, else `~/.local/state/hipache`",
  }),
  drainSeconds: seconds(0, 86_400, 120, {
    source: 'new',
    description: 'How long active requests may take to finish after SIGTERM, and tunnels of a replaced worker to end.',
  }),
});

function lruCache() {
  return z.object({
    size: key(z.int().min(1).max(10_000_000).optional(), {
      source: '0.4',
      unit: 'hosts',
      description: 'The same as `limits.cacheEntriesMax`, which takes precedence.',
      allowed: 'a whole number from 1 to 10000000',
    }),
    ttl: key(z.number().min(0).max(31_536_000).optional(), {
      source: '0.4',
      unit: 'seconds',
      description:
        'How long routes are cached if the store does not notify of changes (Redis before 6). Default, and value for 0: 1.',
      allowed: 'a number from 0 to 31536000',
    }),
  });
}
