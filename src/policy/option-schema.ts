import { backendHost } from './backend-host.ts';
import { cookieAttributes, hashSource, secretKey, stickyName } from './balancing-types.ts';
import { basicUsers } from './basic-auth.ts';
import { clientAuthorities } from './client-authorities.ts';
import { clientCertificateMode } from './client-certificate.ts';
import { errorPage } from './error-page.ts';
import { requestFieldChanges, responseFieldChanges } from './field-changes.ts';
import { authTimeoutDefault } from './forward-auth.ts';
import { authFields, authServerUrl } from './forward-auth-types.ts';
import { probePath, statusRange, wantedText } from './health-check.ts';
import { holdDefaults, wakeTarget } from './hold.ts';
import { hsts } from './hsts.ts';
import { logShare } from './log-share.ts';
import { retryAfterDefault } from './maintenance.ts';
import { network } from './networks.ts';
import { duration, listOf, type OptionType, onOrOff, or, size, type ValueOf, whole, word } from './option-type.ts';
import { pathPrefix, pathsMax } from './path-types.ts';
import { rateSource, requestRate } from './rate-limit.ts';
import { redirectStatus, redirectTarget } from './redirects.ts';
import { upgrades } from './upgrades.ts';

/** Options that belong together, for the reference page. */
type OptionGroup =
  | 'paths'
  | 'access'
  | 'tls'
  | 'redirects'
  | 'maintenance'
  | 'pages'
  | 'fields'
  | 'limits'
  | 'sleep'
  | 'timeouts'
  | 'retries'
  | 'balancing'
  | 'health'
  | 'log';

/** `all`: from the host of a path, and from the wildcard patterns that cover it; `host`: from the host of a path alone. */
export type Inheritance = 'all' | 'host' | 'none';

/** Everything the program knows about an option. */
export interface OptionDefinition<Value = unknown> {
  readonly group: OptionGroup;
  readonly type: OptionType<Value>;
  /** Its value where no record sets it, for people. */
  readonly default: string;
  /** From where a route takes it if its own record does not have it. */
  readonly inherits: Inheritance;
  /** Whether it says who may see a host: a value that cannot be used then lets nobody in, rather than everybody. */
  readonly isAccess: boolean;
  /** Whether its value must not be shown. */
  readonly isSecret: boolean;
  /** Whether commands take `@FILE` for the text of a file: no value begins with "@". */
  readonly isText: boolean;
  /** One sentence or more for the reference page. */
  readonly description: string;
}

const networksMax = 1000;
const waysOfBalancing = ['two-choices', 'random', 'round-robin', 'least-requests', 'hash'] as const;

/** Every option, in the order of the reference page docs/options.md, which is generated from this table. */
const definitions = {
  paths: option('paths', or('none', listOf(pathPrefix, pathsMax)), {
    default: '`none`',
    inherits: 'none',
    description:
      'Prefixes of paths that have routes and options of their own, under the name of the host and the prefix: ' +
      '`example.com/api`. `hipache route set example.com/api` writes it. Requests for a prefix without a route get 400, as those for an unknown host.',
  }),
  stripPath: option('paths', onOrOff, {
    default: '`off`',
    description: 'Of a route with a prefix: backends get the path without it, and the prefix as `X-Forwarded-Prefix`.',
  }),

  allow: option('access', or('any', listOf(network, networksMax)), {
    default: '`any`',
    isAccess: true,
    description:
      'Addresses of clients that may see the host; all others get 403. Wrong items are skipped: a list without a right one allows nobody.',
  }),
  deny: option('access', or('none', listOf(network, networksMax)), {
    default: '`none`',
    description: 'Addresses of clients that get 403, also if `allow` has them.',
  }),

  basicAuth: option('access', or('off', basicUsers), {
    default: '`off`',
    isAccess: true,
    isSecret: true,
    description:
      'Names and hashes of passwords, one of which a request must have (RFC 7617); others get 401. Wrong lines are skipped: a list without a right one lets nobody in. The `Authorization` field goes on to the backend.',
  }),

  clientCert: option('access', clientCertificateMode, {
    default: '`off`',
    isAccess: true,
    description:
      'Whether clients are asked for a certificate in the TLS handshake, of an authority of `clientCa`. `required`: those without a ' +
      'valid one get 403. Backends get a valid one as `Client-Cert` (RFC 9440); what clients send as that field is dropped.',
  }),
  clientCa: option('access', clientAuthorities, {
    default: 'none: no certificate is valid',
    isAccess: true,
    isText: true,
    description:
      'The authorities of the certificates of clients, in PEM; `@FILE` for a command that reads a file. One of them must have signed the certificate itself, without others between. ' +
      'Wrong ones are skipped.',
  }),

  forwardAuth: option('access', or('off', authServerUrl), {
    default: '`off`',
    isAccess: true,
    description:
      'A server that decides about each request: it gets a GET with the fields of the request, and with its method and URL in `X-Forwarded-Method`, `X-Forwarded-Uri` and `X-Original-URL`. With a 2xx the request goes on; the client gets any other response below 500. Without a response nobody is let in.',
  }),
  forwardAuthFields: option('access', authFields, {
    default: '`none`',
    isAccess: true,
    description:
      'Fields that backends get from the response of `forwardAuth`, such as `Remote-User`. Those of clients are dropped, under any spelling.',
  }),
  forwardAuthTimeout: option('access', duration('100ms', '1m'), {
    default: `\`${authTimeoutDefault}\``,
    description:
      'How long the server of `forwardAuth` may take for its whole response. After that the request gets 502.',
  }),

  websockets: option('access', onOrOff, {
    default: '`on`',
    description: 'Whether clients may open WebSockets. `off`: their handshakes get 403.',
  }),
  upgrades: option('access', upgrades, {
    default: '`configured`',
    description:
      'Protocols besides WebSocket to which clients may switch (`Upgrade`). `configured`: those of `server.upgrades`. A request for another one is an ordinary request.',
  }),

  tls: option('tls', word('off', 'auto'), {
    default: '`off`; `auto` with `acme.hosts` `all`',
    description:
      '`auto`: a certificate is ordered for the host, and renewed, if the configuration names an authority (`acme.directory`). ' +
      'One that was put into the store by `hipache cert set` is used until its end. Of a wildcard pattern: for each host below it, ' +
      'at its first handshake.',
  }),

  https: option('redirects', word('off', 'redirect'), {
    default: '`off`',
    description:
      '`redirect`: requests without TLS are redirected to https, on its standard port, except challenges for a certificate below `/.well-known/acme-challenge/`.',
  }),
  hsts: option('redirects', hsts, {
    default: '`off`',
    description:
      'Responses to clients that use https tell browsers to use nothing else for so long (`Strict-Transport-Security`, RFC 6797), in place of what the backend says.',
  }),
  redirect: option('redirects', or('off', redirectTarget), {
    default: '`off`',
    inherits: 'none',
    description: 'All requests are redirected to another host, with their path and query.',
  }),
  redirectStatus: option('redirects', redirectStatus, {
    default: '`auto`',
    description:
      'The status of these redirects. `auto`: 301 for GET and HEAD, 308 for other methods, which keeps them.',
  }),

  maintenance: option('maintenance', onOrOff, {
    default: '`off`',
    description: 'Requests get 503 with the page `error_MAINTENANCE.html`, and no backend is asked.',
  }),
  maintenanceAllow: option('maintenance', or('none', listOf(network, networksMax)), {
    default: '`none`',
    description: 'Addresses of clients that reach the backends all the same.',
  }),
  retryAfter: option('maintenance', duration('0s', '30d'), {
    default: `\`${retryAfterDefault}\``,
    description: 'When clients may come again (`Retry-After`). `0s`: the field is not sent.',
  }),

  errorPage: option('pages', or('off', errorPage), {
    default: '`off`',
    isText: true,
    description:
      'The page for the error replies of the proxy itself, in place of those of `server.staticDir`: an HTML text (`@FILE` for a command that reads a file), or the URL of one, which is fetched and kept for 60 s. `{status}`, `{code}`, `{host}` and `{requestId}` in the text, `{status}` and `{code}` in the URL are replaced.',
  }),

  backendHost: option('fields', backendHost, {
    default: '`client`',
    description:
      'The `Host` field that backends get: that of the client, the host and port of the backend URL, or this one. `X-Forwarded-Host` has that of the client.',
  }),
  requestFields: option('fields', requestFieldChanges, {
    default: 'none',
    description: 'Changes to the fields of requests, for backends.',
  }),
  responseFields: option('fields', responseFieldChanges, {
    default: 'none',
    description: 'Changes to the fields of responses of backends.',
  }),

  rate: option('limits', or('unlimited', requestRate), {
    default: '`unlimited`',
    description:
      'Requests, in all of the fleet, of one client or as `rateBy` says. Further ones get 429 with `Retry-After`.',
  }),
  rateBurst: option('limits', whole(1, 1_000_000), {
    default: 'the requests of one second',
    description: 'Requests that may come at once after a pause.',
  }),
  rateBy: option('limits', rateSource, {
    default: '`client`',
    description:
      'Which requests count together: those of a `client`, by its address (of IPv6 its first 64 bits), all of the `host`, or ' +
      'those with the same value of a header. A request without that header counts by its client.',
  }),
  requestsMax: option('limits', whole(1, 1_000_000), {
    default: '`limits.requestsPerHostMax`',
    description: 'Active requests at the same time, in one worker. Further ones get 503.',
  }),
  queueMax: option('limits', whole(0, 100_000), {
    default: '`0`',
    description: 'Requests that wait, in one worker, while `requestsMax` are in progress. Further ones get 503.',
  }),
  queueTimeout: option('limits', duration('10ms', '10m'), {
    default: `\`${holdDefaults.queueTimeout}\``,
    description: 'How long a request waits for that. Then it gets 503.',
  }),
  requestBodyMax: option('limits', or('unlimited', size), {
    default: '`unlimited`',
    description: 'Size of the body of a request. A longer one gets 413.',
  }),
  tunnelsMax: option('limits', whole(1, 1_000_000), {
    default: '`limits.tunnelsPerHostMax`',
    description: 'WebSockets open at the same time, in one worker. Further handshakes get 503.',
  }),

  connectTimeout: option('timeouts', duration('10ms', '1m'), {
    default: '`limits.connectTimeoutSeconds`',
    description:
      'How long a connection to a backend may take that is begun for a request of the host. After that another backend is tried.',
  }),
  responseTimeout: option('timeouts', duration('0s', '1d'), {
    default: '`server.tcpTimeout`',
    description:
      'How long a backend may take until its response begins, in silence. After that the request gets 504. `0s`: no limit.',
  }),
  responseIdle: option('timeouts', duration('0s', '365d'), {
    default: '`limits.responseIdleSeconds`',
    description: 'How long a backend may be silent within a response, such as an event stream. `0s`: no limit.',
  }),
  tunnelIdle: option('timeouts', duration('0s', '365d'), {
    default: '`limits.tunnelIdleSeconds`',
    description: 'How long a WebSocket may be open without a byte in either direction. `0s`: no limit.',
  }),

  retriesMax: option('retries', whole(0, 100), {
    default: '`server.retryOnError`',
    description: 'How often a failed request is retried if that is safe. 0: never.',
  }),
  retryFor: option('retries', duration('0s', '1d'), {
    default: '`limits.retrySeconds`',
    description: 'How long after its first attempt a request may be sent to another backend.',
  }),
  retryTimeouts: option('retries', onOrOff, {
    default: '`server.retryOnTimeout`',
    description: 'Whether an idempotent request is retried on another backend if one does not respond in time.',
  }),
  hold: option('sleep', or('off', duration('100ms', '1h')), {
    default: '`off`',
    description:
      'How long requests wait for a backend if none is there: the route has none, all are marked dead, or the last one refuses ' +
      'connections. Then they get 503 with `Retry-After`.',
  }),
  holdMax: option('sleep', whole(1, 100_000), {
    default: `\`${holdDefaults.holdMax}\``,
    description: 'Requests that wait for a backend, in one worker. Further ones get 503.',
  }),
  holdBytesMax: option('sleep', size, {
    default: `\`${holdDefaults.holdBytesMax}\``,
    description: 'Bytes of their bodies that are kept, in one worker. A request with more gets 503.',
  }),
  releasePerSecond: option('sleep', or('unlimited', whole(1, 100_000)), {
    default: '`unlimited`',
    description:
      'How many of them go on per second once a backend is there, in one worker. `unlimited`: as many as it has connections for.',
  }),
  pause: option('sleep', onOrOff, {
    default: '`off`',
    inherits: 'host',
    description:
      'Requests wait although backends are there, for as long as `hold` says, or `30s`. `hipache pause` and `hipache resume` set it.',
  }),
  wake: option('sleep', or('off', wakeTarget), {
    default: '`off`',
    description:
      'Hears once for all instances that requests of the host wait, and that it is idle (`idleAfter`): a webhook, or with `event` ' +
      'those who follow the store.',
  }),
  wakeKey: option('sleep', secretKey, {
    default: 'none',
    isSecret: true,
    description: 'Signs the requests to the webhook, in `X-Hipache-Signature`.',
  }),
  idleAfter: option('sleep', or('off', duration('1s', '30d')), {
    default: '`off`',
    description:
      'After how long without a request, and without a frame on a WebSocket, on any instance, the host is idle.',
  }),

  balance: option('balancing', word(...waysOfBalancing), {
    default: '`two-choices`',
    description:
      'How a backend is chosen, always in proportion to the weights. `two-choices`: of two at random, the one with fewer ' +
      'requests in progress. `random`: at random. `round-robin`: in turn. `least-requests`: the one with the fewest requests ' +
      'in progress. `hash`: by `hashBy`, the same for the same client.',
  }),
  hashBy: option('balancing', hashSource, {
    default: '`client`',
    description:
      'The part of a request by which `balance hash` chooses. A request without that header or cookie counts by the address ' +
      'of its client.',
  }),
  sticky: option('balancing', stickyName, {
    default: '`off`',
    description: 'Whether a client stays on its backend, which a cookie names: `on`, or a name for the cookie.',
  }),
  stickyAttributes: option('balancing', cookieAttributes, {
    default: 'Path=/; HttpOnly; SameSite=Lax, and Secure over https',
    description: 'The attributes of the cookie of `sticky`, in place of the usual ones.',
  }),
  stickyKey: option('balancing', secretKey, {
    default: 'an empty one',
    isSecret: true,
    description:
      'The key of the values of the cookie of `sticky`. Without one, everybody who knows the URL of a backend can compute ' +
      'its value.',
  }),
  slowStart: option('balancing', duration('0s', '1h'), {
    default: '`0s`',
    description:
      'How long the share of a backend grows from a tenth to all of it, once it was added to a route or its dead mark has ' +
      'ended. Not with `balance hash`, and not for clients that `sticky` sends there.',
  }),

  healthPath: option('health', or('off', probePath), {
    default: '`off`',
    description:
      'Backends are asked for this path at intervals, and get no requests while they fail. The `Host` field is the host of ' +
      'the route, or that of `backendHost`.',
  }),
  healthInterval: option('health', duration('1s', '1h'), {
    default: '`10s`',
    description: 'The time from one check of a backend to the next.',
  }),
  healthTimeout: option('health', duration('100ms', '1m'), {
    default: '`5s`',
    description:
      'How long a check may take until the response is there. If that is longer than the interval, the next check of that ' +
      'backend begins later.',
  }),
  healthStatus: option('health', statusRange, {
    default: '`200-299`',
    description: 'Statuses of a healthy backend. Redirects are not followed.',
  }),
  healthText: option('health', wantedText, {
    default: '`none`',
    description: 'A text that the first 64 KiB of the body must contain.',
  }),
  healthDown: option('health', whole(1, 100), {
    default: '`3`',
    description: 'Failed checks in a row after which a backend gets no more requests.',
  }),
  healthUp: option('health', whole(1, 100), {
    default: '`2`',
    description: 'Successful checks in a row after which it gets requests again.',
  }),

  accessLog: option('log', logShare, {
    default: '`server.accessLogSample`',
    description:
      'Which requests have a line in the access log: all (`on`), none (`off`), or a share of the good ones and all that fail ' +
      'through no fault of the client.',
  }),
} satisfies Record<string, OptionDefinition>;

type Definitions = typeof definitions;

/** The values of options that are set. */
export type OptionValues = { readonly [Name in keyof Definitions]?: ValueOf<Definitions[Name]['type']> };

/** Every option with its definition, in the order of the reference page. */
export const optionDefinitions: ReadonlyMap<string, OptionDefinition> = new Map(Object.entries(definitions));

/** Inherited and not secret, if nothing else is said. */
function option<Value>(
  group: OptionGroup,
  type: OptionType<Value>,
  rest: Pick<OptionDefinition, 'default' | 'description'> &
    Partial<Pick<OptionDefinition, 'isAccess' | 'inherits' | 'isSecret' | 'isText'>>,
): OptionDefinition<Value> {
  return { group, type, isAccess: false, inherits: 'all', isSecret: false, isText: false, ...rest };
}
