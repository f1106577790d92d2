import { BoundedMemo } from '../base/bounded-memo.ts';
import { FieldEdits } from '../http/field-lines.ts';
import { PathPrefixes } from '../routing/path-prefixes.ts';
import { pathOf } from '../routing/patterns.ts';
import { AccessList } from './access-list.ts';
import type { AdmissionRule } from './admission.ts';
import type { AuthServers } from './auth-servers.ts';
import { selectorOf, stickyCookieOf } from './balancing.ts';
import { BasicAuth, type CheckPassword } from './basic-auth.ts';
import { BodyLimit } from './body-limit.ts';
import { ClientCertificate } from './client-certificate.ts';
import type { FieldChanges } from './field-changes.ts';
import { authTimeoutDefault, ForwardAuth } from './forward-auth.ts';
import { healthCheckOf } from './health-check.ts';
import { holdPolicyOf, queuePolicyOf, wakeTargetOf } from './hold.ts';
import type { HostPolicy, ResponseEdits } from './host-policy.ts';
import { Maintenance, retryAfterDefault } from './maintenance.ts';
import type { OptionValues } from './option-schema.ts';
import { durationMs } from './option-type.ts';
import { RateLimit, type TokenSource } from './rate-limit.ts';
import { isOfPath, type OptionLayer, optionProblems, optionsInForce } from './read-options.ts';
import { HostRedirect, HttpsRedirect } from './redirects.ts';
import { NoWebSockets } from './web-sockets.ts';

/** Policies that are remembered, and the characters of their options: most hosts have the same few sets. */
const rememberedMax = 10_000;
const rememberedCharsMax = 8_000_000;

/** Parts of the worker that rules need. */
export interface PolicyServices {
  readonly checkPassword: CheckPassword;
  readonly tokens: TokenSource;
  readonly authServers: AuthServers;
}

/** Makes the policies of hosts from their options. Hosts with the same options share one policy. */
export class PolicyCompiler {
  private readonly base: HostPolicy;
  private readonly services: PolicyServices;
  private readonly remembered = new BoundedMemo<HostPolicy>(rememberedMax, rememberedCharsMax);

  /** @param base the policy of hosts without options. */
  constructor(base: HostPolicy, services: PolicyServices) {
    this.base = base;
    this.services = services;
  }

  /** @param layers as `optionsInForce` takes them. */
  compile(layers: readonly OptionLayer[]): HostPolicy {
    const prefix = pathOf(layers[0]?.pattern ?? '');
    const key = JSON.stringify([prefix, isOfPath(layers), ...layers.map(({ options }) => [...options])]);
    return this.remembered.get(key, () => policyOf(this.base, optionsInForce(layers).values, prefix, this.services));
  }

  problemsOf(options: ReadonlyMap<string, string>): readonly string[] {
    return optionProblems(options);
  }
}

/** The policy of a host, or of a prefix of its paths, with these options. */
function policyOf(base: HostPolicy, values: OptionValues, prefix: string, services: PolicyServices): HostPolicy {
  const sticky = stickyCookieOf(values);
  const strippedPath = values.stripPath === true ? prefix : '';
  return {
    ...base,
    selector: selectorOf(values, sticky) ?? base.selector,
    sticky,
    rules: admissionRules(values, services),
    backendHost: values.backendHost ?? base.backendHost,
    paths: values.paths == null || prefix !== '' ? null : new PathPrefixes(values.paths),
    strippedPath,
    requestFields: requestFieldsOf(values, strippedPath) ?? base.requestFields,
    responseEdits: responseEditsOf(values),
    timeouts: {
      connectMs: values.connectTimeout ?? base.timeouts.connectMs,
      responseMs: values.responseTimeout ?? base.timeouts.responseMs,
      responseIdleMs: values.responseIdle ?? base.timeouts.responseIdleMs,
    },
    errorPage: values.errorPage ?? base.errorPage,
    upgrades: values.upgrades ?? base.upgrades,
    tunnelIdleMs: values.tunnelIdle ?? base.tunnelIdleMs,
    hold: holdPolicyOf(values),
    isPaused: values.pause === true,
    queue: queuePolicyOf(values),
    wake: wakeTargetOf(values),
    idleAfterMs: values.idleAfter ?? 0,
    requestsMax: values.requestsMax ?? base.requestsMax,
    requestBodyBytesMax: values.requestBodyMax ?? base.requestBodyBytesMax,
    tunnelsMax: values.tunnelsMax ?? base.tunnelsMax,
    retriesMax: values.retriesMax ?? base.retriesMax,
    retryForMs: values.retryFor ?? base.retryForMs,
    retryTimeouts: values.retryTimeouts ?? base.retryTimeouts,
    ordersCertificate: values.tls === undefined ? base.ordersCertificate : values.tls === 'auto',
    clientAuthorities: asksCertificates(values) ? (values.clientCa ?? null) : null,
    accessLogShare: values.accessLog ?? base.accessLogShare,
    health: healthCheckOf(values),
  };
}

/**
 * The rules that options make; null for none. They are in the order in which they decide: a client that may not see the host
 * learns nothing of it.
 */
export function admissionRules(values: OptionValues, services: PolicyServices): readonly AdmissionRule[] | null {
  const {
    basicAuth = null,
    allow = null,
    deny = null,
    https,
    maintenance,
    maintenanceAllow,
    rate = null,
    rateBurst = null,
    rateBy = { kind: 'client' },
    redirect = null,
    redirectStatus = null,
    requestBodyMax = null,
  } = values;
  const rules: AdmissionRule[] = [];
  if (allow !== null || deny !== null) rules.push(new AccessList(allow, deny ?? []));
  if (rate !== null) rules.push(new RateLimit(rate, rateBurst, rateBy, services.tokens));
  if (https === 'redirect') rules.push(new HttpsRedirect(redirectStatus));
  if (redirect !== null) rules.push(new HostRedirect(redirect, redirectStatus));
  if (maintenance === true)
    rules.push(new Maintenance(maintenanceAllow ?? [], values.retryAfter ?? durationMs(retryAfterDefault)));
  if (asksCertificates(values))
    rules.push(new ClientCertificate(values.clientCert === 'required', values.clientCa ?? null));
  if (basicAuth !== null) rules.push(new BasicAuth(basicAuth, services.checkPassword));
  const asksServer = forwardAuthOf(values, services.authServers);
  if (asksServer !== null) rules.push(asksServer);
  if (values.websockets === false) rules.push(new NoWebSockets());
  if (requestBodyMax !== null) rules.push(new BodyLimit(requestBodyMax));
  return rules.length === 0 ? null : rules;
}

function asksCertificates({ clientCert = 'off' }: OptionValues): boolean {
  return clientCert !== 'off';
}

function requestFieldsOf({ requestFields }: OptionValues, strippedPath: string): FieldChanges | null {
  if (strippedPath === '') return requestFields ?? null;
  const { dropped, lines } = requestFields ?? { dropped: none, lines: '' };
  return { dropped: new Set([...dropped, prefixName]), lines: `${lines}X-Forwarded-Prefix: ${strippedPath}\r\n` };
}

function forwardAuthOf(values: OptionValues, servers: AuthServers): ForwardAuth | null {
  const { forwardAuth = null, forwardAuthFields = [], forwardAuthTimeout, requestFields } = values;
  if (forwardAuth === null) return null;
  const options = {
    url: forwardAuth,
    fields: forwardAuthFields,
    timeoutMs: forwardAuthTimeout ?? durationMs(authTimeoutDefault),
    overruled: requestFields?.dropped ?? none,
  };
  return new ForwardAuth(options, servers);
}

function responseEditsOf({ hsts: hstsLine = '', responseFields }: OptionValues): ResponseEdits | null {
  if (hstsLine === '' && responseFields === undefined) return null;
  const { dropped, lines } = responseFields ?? { dropped: none, lines: '' };
  const plain = responseFields === undefined ? null : fieldEdits(dropped, lines);
  if (hstsLine === '') return { plain, secure: plain, hstsLine };
  return { plain, secure: fieldEdits(new Set([...dropped, hstsName]), lines + hstsLine), hstsLine };
}

function fieldEdits(names: ReadonlySet<string>, lines: string): FieldEdits {
  const edits = new FieldEdits(0, lines);
  edits.names = names.size === 0 ? null : names;
  return edits;
}

const none: ReadonlySet<string> = new Set();
const hstsName = 'strict-transport-security';
const prefixName = 'x-forwarded-prefix';
