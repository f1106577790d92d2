import type { HashSource } from '../routing/by-hash.ts';
import type { OptionType } from './option-type.ts';

/** The name of the cookie that names a backend, unless the operator gives another one. */
const usualName = 'hipache_backend';
/** RFC 9110 section 5.6.2: names of fields, and of cookies (RFC 6265 section 4.1.1). */
const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/;

/** The part of a request that is hashed. */
export const hashSource: OptionType<HashSource> = {
  allowed: 'client, header:NAME or cookie:NAME',
  parse(text) {
    if (text === 'client') return { kind: 'client' };
    const [, kind, name = ''] = /^(header|cookie):(.*)$/s.exec(text) ?? [];
    if (kind === undefined || !token.test(name)) return undefined;
    return kind === 'header' ? { kind, name: name.toLowerCase() } : { kind: 'cookie', name };
  },
};

/** The name of a cookie; null for none. */
export const stickyName: OptionType<string | null> = {
  allowed: 'off, on, or the name of a cookie',
  parse(text) {
    if (text === 'off' || text === 'false') return null;
    if (text === 'on' || text === 'true') return usualName;
    return token.test(text) ? text : undefined;
  },
};

/** The part of a `Set-Cookie` after the value. */
export const cookieAttributes: OptionType<string> = {
  allowed: '1 to 512 printable ASCII characters, such as Path=/; Secure; SameSite=None',
  parse: (text) => (/^[!-~][ -~]{0,511}$/.test(text) ? text : undefined),
};

export const secretKey: OptionType<string> = {
  allowed: '1 to 512 printable ASCII characters',
  parse: (text) => (/^[ -~]{1,512}$/.test(text) ? text : undefined),
};
