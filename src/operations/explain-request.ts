import { isIP } from 'node:net';
import { HipacheError } from '../base/errors.ts';
import { FieldEdits } from '../http/field-lines.ts';
import { PlainRequest } from '../http/plain-request.ts';
import { type AskedRequest, type ClientTls, refusalBy } from '../policy/admission.ts';
import { AuthServers } from '../policy/auth-servers.ts';
import { admissionRules } from '../policy/policy-compiler.ts';
import { type OptionLayer, optionsInForce } from '../policy/read-options.ts';

export type { AskedRequest } from '../policy/admission.ts';

/** A request that is explained, as an operator gives it. */
export interface GivenRequest {
  readonly method?: string | undefined;
  /** Default `/`. */
  readonly path?: string | undefined;
  /** The address of the client; undefined: one that no list has. */
  readonly client?: string | undefined;
  readonly https?: boolean | undefined;
  /** Lines `Name: value`. */
  readonly header?: readonly string[] | undefined;
}

/** The reply of a rule of the host, in place of a backend. */
export interface ExplainedRefusal {
  readonly status: number;
  /** Null for a redirect. */
  readonly code: string | null;
  readonly location: string | null;
  readonly detail: string;
}

/** Of the documentation networks (RFC 5737), so that lists of real networks do not have it. */
const anyClient = '192.0.2.1';

/** A client that shows no certificate, even if it is asked for one. */
const withoutCertificate: ClientTls = { wasAsked: () => true, certificate: null, problem: null };

/** @throws HipacheError COMMAND_INVALID. */
export function parseRequest(host: string, given: GivenRequest): AskedRequest {
  const { client = anyClient, header = [], https = false, method = 'GET', path = '/' } = given;
  if (isIP(client) === 0) {
    throw new HipacheError('COMMAND_INVALID', `--client: found ${JSON.stringify(client)}, allowed an IP address`);
  }
  if (!/^\/[\x21-\x7e]*$/.test(path)) throw new HipacheError('COMMAND_INVALID', `${path} is not the path of a request`);
  const fields = header.map((line) => {
    const [, name, value = ''] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*)$/.exec(line) ?? [];
    if (name !== undefined) return [name, value] as const;
    throw new HipacheError('COMMAND_INVALID', `--header: found ${JSON.stringify(line)}, allowed "Name: value"`);
  });
  return {
    ended: false,
    hasToken: false,
    bodyBytes: 0,
    request: new PlainRequest(host, method, path, fields),
    host,
    pattern: host,
    path: null,
    clientAddress: client.includes(':') ? client : `::ffff:${client}`,
    isSecure: https,
    clientTls: https ? withoutCertificate : null,
    stream: { effects: null },
    identityEdits: () => new FieldEdits(0),
  };
}

/** How the rules of a host decide about a request. */
export interface ExplainedDecision {
  /** Null: it goes on to a backend. */
  readonly refusal: ExplainedRefusal | null;
  /** The URL of the auth server that is asked before, without its query; null if none is. */
  readonly authServer: string | null;
}

/**
 * Names of users are checked. Passwords are taken for right, no rate is reached, and the auth server is not asked: it counts
 * as one that agrees.
 */
export async function explainDecision(layers: readonly OptionLayer[], asked: AskedRequest): Promise<ExplainedDecision> {
  let authServer: string | null = null;
  const authServers = new AuthServers(async ({ url }) => {
    authServer = url.replace(/\?.*/s, '');
    return { status: 200, fields: [], body: '' };
  });
  const services = { checkPassword: async () => true, tokens: { take: () => 0, left: () => 0 }, authServers };
  const rules = admissionRules(optionsInForce(layers).values, services) ?? [];
  const refusal = await refusalBy(rules, asked);
  if (refusal === null) return { refusal, authServer };
  const { code, detail, fields, status } = refusal;
  const location = [...(fields ?? [])].find(([name]) => name === 'location')?.[1] ?? null;
  return { refusal: { status, code, location, detail }, authServer };
}
