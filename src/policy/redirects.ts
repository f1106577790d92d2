import { FieldLines } from '../http/field-lines.ts';
import { normaliseHost } from '../routing/host.ts';
import type { AdmissionRule, AskedRequest, Refusal } from './admission.ts';
import type { OptionType } from './option-type.ts';

/** Null: 301 for GET and HEAD, which every client knows, and 308 for others, which keeps the method and the body. */
export type RedirectStatus = 301 | 302 | 307 | 308 | null;

export const redirectStatus: OptionType<RedirectStatus> = {
  allowed: '301, 302, 307, 308 or auto',
  parse: (text) => (text === 'auto' ? null : ([301, 302, 307, 308] as const).find((status) => String(status) === text)),
};

/** Where a host redirects to: a host, with a port or not, and the scheme that its URLs get. */
export interface RedirectTarget {
  /** Null: that of the request. */
  readonly scheme: 'http' | 'https' | null;
  readonly authority: string;
}

export const redirectTarget: OptionType<RedirectTarget> = {
  allowed: 'a host such as www.example.com, with https:// or http:// before it or not; the path of the request is kept',
  parse(text) {
    const [, scheme = null, authority = ''] = /^(?:(https?):\/\/)?([^/?#\s]+)\/?$/.exec(text) ?? [];
    if (normaliseHost(authority) === null) return undefined;
    return { scheme: scheme as RedirectTarget['scheme'], authority: authority.toLowerCase() };
  },
};

/** Where authorities for certificates ask without TLS (RFC 8555, section 8.3). */
const challengePrefix = '/.well-known/acme-challenge/';

/** Redirects requests without TLS to https, on its standard port, except challenges for a certificate. */
export class HttpsRedirect implements AdmissionRule {
  private readonly status: RedirectStatus;

  constructor(status: RedirectStatus) {
    this.status = status;
  }

  refuse({ host, isSecure, request }: AskedRequest): Refusal | null {
    // A request without Host, such as a health check of a balancer, has nowhere to go.
    if (isSecure || host === '' || request.path.startsWith(challengePrefix)) return null;
    return redirect(this.status, request.method, `https://${host}${pathOf(request.path)}`);
  }
}

/** Redirects to another host, with the path and the query of the request. */
export class HostRedirect implements AdmissionRule {
  private readonly target: RedirectTarget;
  /** Without the port. */
  private readonly targetHost: string | null;
  private readonly status: RedirectStatus;

  constructor(target: RedirectTarget, status: RedirectStatus) {
    this.target = target;
    this.targetHost = normaliseHost(target.authority);
    this.status = status;
  }

  refuse({ host, isSecure, request }: AskedRequest): Refusal | null {
    const { authority, scheme } = this.target;
    // A host that redirects to itself would do so without end, on any port; back from https, `https redirect` would send it again.
    if (this.targetHost === host && (scheme !== 'https' || isSecure)) return null;
    const by = scheme ?? (isSecure ? 'https' : 'http');
    return redirect(this.status, request.method, `${by}://${authority}${pathOf(request.path)}`);
  }
}

function redirect(status: RedirectStatus, method: string, location: string): Refusal {
  const fields = new FieldLines();
  fields.add('location', location);
  const chosen = status ?? (method === 'GET' || method === 'HEAD' ? 301 : 308);
  return { code: null, status: chosen, detail: '', fields };
}

/** `OPTIONS *` is about the host. */
function pathOf(path: string): string {
  return path.startsWith('/') ? path : '/';
}
