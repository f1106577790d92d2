import type { X509Certificate } from 'node:crypto';
import type { ErrorCode } from '../base/errors.ts';
import type { FieldEdits, FieldLines } from '../http/field-lines.ts';
import type { RequestView } from '../http/message.ts';
import type { FieldChanges } from './field-changes.ts';

/** Something that a rule leaves for its request. It changes this object alone, since the request may have ended. */
export interface RuleEffects {
  /** Changes to the fields of the request for the backend; null for none. */
  backendFields: FieldChanges | null;
  /** Called if the request ends while the rule decides, because its client has gone. */
  onEnded: (() => void) | null;
}

/** A client as its TLS handshake with this proxy has shown it. */
export interface ClientTls {
  /** Whether the client was asked for a certificate of these authorities. */
  wasAsked(authoritiesId: string): boolean;
  /** The certificate whose key the client has; null for none. */
  readonly certificate: X509Certificate | null;
  /** Why that certificate is not valid; null if it is. */
  readonly problem: string | null;
}

/** A request as the rules of its host see it. */
export interface AskedRequest {
  readonly request: RequestView;
  /** Whether it has a token of its rate already: set by the rule, which may be asked again. */
  hasToken: boolean;
  /** Whether it has ended, because its client has gone. */
  readonly ended: boolean;
  /** Bytes of its body that have come already. */
  readonly bodyBytes: number;
  /** Normalised. */
  readonly host: string;
  /** Of the route. */
  readonly pattern: string;
  /** The form of the path by which the route was found, with the query; null: that of the request. */
  readonly path: string | null;
  /** As logs show it: IPv4 as `::ffff:a.b.c.d`. */
  readonly clientAddress: string;
  /** Whether the client uses https, to this proxy or to a trusted one before it. */
  readonly isSecure: boolean;
  /** Null without TLS, or if a proxy before this one ends it. */
  readonly clientTls: ClientTls | null;
  /** Keeps what a rule leaves for the request. Rules that are asked again find nothing. */
  readonly stream: { effects: RuleEffects | null };
  /** The fields that identify the client to a server, and those of the client that they replace. */
  identityEdits(): FieldEdits;
}

/** Adds to the fields that backends get by the rules of the host. */
export function addBackendFields(stream: AskedRequest['stream'], { dropped, lines }: FieldChanges): void {
  stream.effects ??= { backendFields: null, onEnded: null };
  const { effects } = stream;
  const before = effects.backendFields;
  effects.backendFields =
    before === null
      ? { dropped, lines }
      : { dropped: new Set([...before.dropped, ...dropped]), lines: before.lines + lines };
}

/** A reply in place of that of a backend. */
export interface Refusal {
  /** Null for a redirect, which is no error. */
  readonly code: ErrorCode | null;
  readonly status: number;
  /** For the log. */
  readonly detail: string;
  /** Further fields of the reply; null for none. */
  readonly fields: FieldLines | null;
  /** In place of the page or the text, latin1; `fields` describe it. */
  readonly body?: string;
}

/** Decides whether a request may go on to a backend. */
export interface AdmissionRule {
  /** Null if it may, as far as this rule is concerned. A promise must not reject. */
  refuse(asked: AskedRequest): Refusal | null | Promise<Refusal | null>;
}

/** The reply of the first rule that refuses the request; null if none does. @param from index of the first rule. */
export function refusalBy(
  rules: readonly AdmissionRule[],
  asked: AskedRequest,
  from = 0,
): Refusal | null | Promise<Refusal | null> {
  for (let i = from; i < rules.length; i++) {
    const refusal = rules[i]?.refuse(asked) ?? null;
    if (refusal instanceof Promise) {
      return refusal.then((found) => found ?? (asked.ended ? null : refusalBy(rules, asked, i + 1)));
    }
    if (refusal !== null) return refusal;
  }
  return null;
}
