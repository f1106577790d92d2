import { BoundedMemo } from '../base/bounded-memo.ts';
import { FieldEdits } from '../http/field-lines.ts';
import { AccessList } from './access-list.ts';
import type { AdmissionRule } from './admission.ts';
import { AuthServers } from './auth-servers.ts';
import { selectorOf, stickyCookieOf } from './balancing.ts';
import { BasicAuth, type CheckPassword } from './basic-auth.ts';
import { BodyLimit } from './body-limit.ts';
import { authTimeoutDefault, ForwardAuth } from './forward-auth.ts';
import type { HostPolicy, ResponseEdits } from './host-policy.ts';
import { Maintenance, retryAfterDefault } from './maintenance.ts';
import type { OptionValues } from './option-schema.ts';
import { durationMs } from './option-type.ts';
import { type OptionLayer, optionProblems, optionsInForce } from './read-options.ts';
import { HostRedirect, HttpsRedirect } from './redirects.ts';
import type { WebFetch } from './web-fetch.ts';
import { NoWebSockets } from './web-sockets.ts';

/** Policies that are remembered, and the characters of their options: most hosts have the same few sets. */
const rememberedMax = 10_000;
const rememberedCharsMax = 8_000_000;

/** Makes the policies of hosts from their options. Hosts with the same options share one policy. */
export class PolicyCompiler {
  private readonly base: HostPolicy;
  private readonly checkPassword: CheckPassword;
  private readonly authServers: AuthServers;
  private readonly remembered = new BoundedMemo<HostPolicy>(rememberedMax, rememberedCharsMax);

  /**
   * @param base the policy of hosts without options. @param checkPassword of clients that have to give one.
   * @param fetch asks auth servers.
   */
  constructor(base: HostPolicy, checkPassword: CheckPassword, fetch: WebFetch) {
    this.base = base;
    this.checkPassword = checkPassword;
    this.authServers = new AuthServers(fetch);
  }

  /** @param layers as `optionsInForce` takes them. */
  compile(layers: readonly OptionLayer[]): HostPolicy {
    const key = JSON.stringify(layers.map(({ options }) => [...options]));
    return this.remembered.get(key, () => {
      const { values } = optionsInForce(layers);
      return policyOf(this.base, values, admissionRules(values, this.checkPassword, this.authServers));
    });
  }

  problemsOf(options: ReadonlyMap<string, string>): readonly string[] {
    return optionProblems(options);
  }
}

/** The policy of a host with these options. */
function policyOf(base: HostPolicy, values: OptionValues, rules: HostPolicy['rules']): HostPolicy {
  const sticky = stickyCookieOf(values);
  return {
    ...base,
    selector: selectorOf(values, sticky) ?? base.selector,
    sticky,
    rules,
    backendHost: values.backendHost ?? base.backendHost,
    requestFields: values.requestFields ?? base.requestFields,
    responseEdits: responseEditsOf(values),
    timeouts: {
      connectMs: values.connectTimeout ?? base.timeouts.connectMs,
      responseMs: values.responseTimeout ?? base.timeouts.responseMs,
      responseIdleMs: values.responseIdle ?? base.timeouts.responseIdleMs,
    },
    errorPage: values.errorPage ?? base.errorPage,
    upgrades: values.upgrades ?? base.upgrades,
    tunnelIdleMs: values.tunnelIdle ?? base.tunnelIdleMs,
    requestsMax: values.requestsMax ?? base.requestsMax,
    requestBodyBytesMax: values.requestBodyMax ?? base.requestBodyBytesMax,
    tunnelsMax: values.tunnelsMax ?? base.tunnelsMax,
    retriesMax: values.retriesMax ?? base.retriesMax,
    retryForMs: values.retryFor ?? base.retryForMs,
    retryTimeouts: values.retryTimeouts ?? base.retryTimeouts,
  };
}

/**
 * The rules that options make; null for none. They are in the order in which they decide: a client that may not see the host
 * learns nothing of it.
 */
export function admissionRules(
  values: OptionValues,
  checkPassword: CheckPassword,
  authServers: AuthServers,
): readonly AdmissionRule[] | null {
  const {
    basicAuth = null,
    allow = null,
    deny = null,
    forwardAuth = null,
    https,
    maintenance,
    maintenanceAllow,
    redirect = null,
    redirectStatus = null,
    requestBodyMax = null,
  } = values;
  const rules: AdmissionRule[] = [];
  if (allow !== null || deny !== null) rules.push(new AccessList(allow, deny ?? []));
  if (https === 'redirect') rules.push(new HttpsRedirect(redirectStatus));
  if (redirect !== null) rules.push(new HostRedirect(redirect, redirectStatus));
  if (maintenance === true)
    rules.push(new Maintenance(maintenanceAllow ?? [], values.retryAfter ?? durationMs(retryAfterDefault)));
  if (basicAuth !== null) rules.push(new BasicAuth(basicAuth, checkPassword));
  if (forwardAuth !== null) {
    const options = {
      url: forwardAuth,
      fields: values.forwardAuthFields ?? [],
      timeoutMs: values.forwardAuthTimeout ?? durationMs(authTimeoutDefault),
      overruled: values.requestFields?.dropped ?? none,
    };
    rules.push(new ForwardAuth(options, authServers));
  }
  if (values.websockets === false) rules.push(new NoWebSockets());
  if (requestBodyMax !== null) rules.push(new BodyLimit(requestBodyMax));
  return rules.length === 0 ? null : rules;
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
