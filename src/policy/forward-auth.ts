import { HipacheError } from '../base/errors.ts';
import { comparedName, FieldLines, isNamed } from '../http/field-lines.ts';
import { Field, identityFields, isFraming, isHopByHop } from '../http/field-names.ts';
import { isNominated } from '../http/message.ts';
import { portOf } from '../routing/host.ts';
import {
  type AdmissionRule,
  type AskedRequest,
  addBackendFields,
  type Refusal,
  type RuleEffects,
} from './admission.ts';
import type { AuthServers } from './auth-servers.ts';
import type { FieldChanges } from './field-changes.ts';
import type { AuthFields } from './forward-auth-types.ts';
import type { WebResponse } from './web-fetch.ts';

/** Value of the option `forwardAuthTimeout` where nobody sets it. */
export const authTimeoutDefault = '5s';
/** Largest body of a response of an auth server, in bytes. */
const bodyBytesMax = 65_536;

export interface ForwardAuthOptions {
  /** Empty: nobody is let in. */
  readonly url: string;
  readonly fields: AuthFields;
  /** For the whole response, in ms. */
  readonly timeoutMs: number;
  /** Fields that the host sets for backends itself, as `comparedName` gives them. */
  readonly overruled: ReadonlySet<string>;
}

/**
 * Asks another server whether a request may go on, as nginx with `auth_request` and Traefik with `forwardAuth` do: a 2xx
 * lets it go on, any other response below 500 goes to the client. Without a response nobody is let in.
 */
export class ForwardAuth implements AdmissionRule {
  private readonly options: ForwardAuthOptions;
  private readonly servers: AuthServers;
  /** Names that are copied, in lower case. */
  private readonly copied: ReadonlySet<string>;
  /** Names that clients may not set for the backend, as `comparedName` gives them. */
  private readonly dropped: ReadonlySet<string>;
  /** The URL without its query, which may have a secret. */
  private readonly shown: string;

  constructor(options: ForwardAuthOptions, servers: AuthServers) {
    this.options = options;
    this.servers = servers;
    const names = options.fields === 'unusable' ? [] : options.fields;
    const copied = names.filter((name) => !isNamed(name, options.overruled));
    this.copied = new Set(copied.map((name) => name.toLowerCase()));
    this.dropped = new Set([...names.map(comparedName), ...ofTheRequest]);
    this.shown = options.url.replace(/\?.*/s, '');
  }

  refuse(asked: AskedRequest): Refusal | Promise<Refusal | null> {
    if (this.options.url === '') return failed('the option forwardAuth has no URL that can be used');
    if (this.options.fields === 'unusable') return failed('the option forwardAuthFields has no list that can be used');
    const problem = this.servers.whyNot(asked.pattern);
    return problem === '' ? this.ask(asked) : overloaded(problem);
  }

  private async ask(asked: AskedRequest): Promise<Refusal | null> {
    const { timeoutMs, url } = this.options;
    const cancelling = new AbortController();
    const effects: RuleEffects = {
      backendFields: asked.stream.effects?.backendFields ?? null,
      onEnded: () => cancelling.abort(),
    };
    asked.stream.effects = effects;
    try {
      const response = await this.servers.ask(asked.pattern, {
        url,
        fields: subrequestFields(asked),
        timeoutMs,
        bodyBytesMax,
        // It authenticates a connection, which must serve no other client.
        isAlone: asked.request.authenticatesConnection,
        signal: cancelling.signal,
      });
      return this.judge(response, effects);
    } catch (error) {
      const detail = `${this.shown}: ${(error as Error).message}`;
      return error instanceof HipacheError && error.code === 'OVERLOADED' ? overloaded(detail) : failed(detail);
    } finally {
      effects.onEnded = null;
    }
  }

  private judge(response: WebResponse, effects: RuleEffects): Refusal | null {
    const { status } = response;
    // A 304 cannot be meant: the subrequest has no condition.
    if (status >= 500 || status < 200 || status === 304) return failed(`${this.shown} responds with ${status}`);
    if (status >= 300) return refusalOf(response, `${this.shown} responds with ${status}`);
    addBackendFields({ effects }, this.changesBy(response));
    return null;
  }

  private changesBy({ fields }: WebResponse): FieldChanges {
    const added = new FieldLines();
    for (const [name, value] of pairs(fields)) {
      if (this.copied.has(name.toLowerCase()) && value !== '') added.add(name, value);
    }
    return { dropped: this.dropped, lines: added.text };
  }
}

/** Fields that name the request to some applications, so that these would see another one than the auth server has judged. */
const ofTheRequest = [
  'x-forwarded-method',
  'x-forwarded-uri',
  'x-original-method',
  'x-original-uri',
  'x-original-url',
  'x-rewrite-url',
];

/**
 * Fields of the client that the auth server does not get. It sets those about the original request itself. A condition or a
 * range is about the resource of the backend: the 304, 412 or 206 of an auth server would be taken for a decision.
 */
const notAsked: ReadonlySet<string> = new Set([
  'if-match',
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
  'if-range',
  'range',
  'forwarded',
  'x-forwarded-host',
  'x-forwarded-method',
  'x-forwarded-port',
  'x-forwarded-uri',
  'x-original-method',
  'x-original-uri',
  'x-original-url',
  'x-rewrite-url',
]);

/** The fields of the subrequest: those of the client that concern no connection and no body, and what a backend learns of it. */
function subrequestFields(asked: AskedRequest): string[] {
  const { isSecure, request } = asked;
  const edits = asked.identityEdits();
  // By rules that came before: the certificate of the client.
  const { dropped, lines } = asked.stream.effects?.backendFields ?? { dropped: none, lines: '' };
  const fields: string[] = [];
  for (let field = 0; field < request.fieldCount; field++) {
    const number = request.fieldNumber(field);
    if (number === Field.HOST || number === Field.ALIAS || isFraming(number) || isHopByHop(number)) continue;
    const name = request.fieldName(field);
    if (((edits.dropped >>> number) & 1) !== 0 || isNamed(name, notAsked) || isNamed(name, dropped)) continue;
    const isKept = number === Field.CDN_LOOP || ((identityFields >>> number) & 1) !== 0;
    if (!isKept && isNominated(request, field)) continue;
    fields.push(name, request.fieldValue(field));
  }
  for (const [name, value] of [...edits, ...new FieldLines(lines)])
    if (!isNamed(name, notAsked)) fields.push(name, value);
  const { authority, method } = request;
  // On a host with paths of its own, backends get this form, and the decision must be about what they get.
  const path = asked.path ?? request.path;
  fields.push('X-Forwarded-Method', method, 'X-Forwarded-Uri', path, 'X-Original-Method', method);
  const scheme = isSecure ? 'https' : 'http';
  // `OPTIONS *` is about the host.
  if (authority !== null) {
    // That of the route, whatever a trusted proxy lets through: the decision must be about the host that is served.
    const port = portOf(authority) ?? (isSecure ? 443 : 80);
    fields.push('X-Forwarded-Host', authority, 'X-Forwarded-Port', String(port));
    fields.push('X-Original-URL', `${scheme}://${authority}${path === '*' ? '' : path}`);
  }
  return fields;
}

const none: ReadonlySet<string> = new Set();

/** Fields of its response that the client gets, in lower case. */
const passedOn: ReadonlySet<string> = new Set([
  'location',
  'set-cookie',
  'www-authenticate',
  'content-type',
  'content-encoding',
  'cache-control',
  'retry-after',
]);

function refusalOf({ body, fields: sent, status }: WebResponse, detail: string): Refusal {
  const fields = new FieldLines();
  let hasCacheControl = false;
  for (const [name, value] of pairs(sent)) {
    if (!passedOn.has(name.toLowerCase())) continue;
    fields.add(name, value);
    hasCacheControl ||= name.toLowerCase() === 'cache-control';
  }
  if (!hasCacheControl) fields.add('cache-control', 'no-cache');
  return { code: null, status, detail, fields, body };
}

function* pairs(fields: readonly string[]): Generator<readonly [name: string, value: string]> {
  for (let at = 0; at + 1 < fields.length; at += 2) yield [fields[at] as string, fields[at + 1] as string];
}

function failed(detail: string): Refusal {
  return { code: 'AUTH_SERVER_FAILED', status: 502, detail, fields: null };
}

function overloaded(detail: string): Refusal {
  return { code: 'OVERLOADED', status: 503, detail, fields: null };
}
