import { durationMs, type OptionType } from './option-type.ts';

const maxAge = 'a time from 1s to 3650d';

/** The line of `Strict-Transport-Security` (RFC 6797 section 6.1); empty for none. */
export const hsts: OptionType<string> = {
  allowed: `off, or ${maxAge}, and after it includeSubDomains and preload or not: 365d includeSubDomains`,
  parse(text) {
    if (text === 'off') return '';
    const [age = '', ...directives] = text.split(/[\s;]+/).filter((word) => word !== '');
    const ms = durationMs(age);
    const isKnown = directives.every((word) => /^(includeSubDomains|preload)$/i.test(word));
    if (!(ms >= 1000 && ms <= 3650 * 86_400_000) || !isKnown) return undefined;
    const has = (name: string): boolean => directives.some((word) => word.toLowerCase() === name.toLowerCase());
    const parts = [`max-age=${Math.floor(ms / 1000)}`, ...['includeSubDomains', 'preload'].filter(has)];
    return `Strict-Transport-Security: ${parts.join('; ')}\r\n`;
  },
};
