import { isIP } from 'node:net';

/** Longest DNS name, and longest of its labels, in characters (RFC 1035 section 2.3.4). */
const nameCharsMax = 253;
const labelCharsMax = 63;

/**
 * Why no public authority issues a certificate for a pattern, in words that follow "because"; null if it is no reason that
 * the name itself shows. The rules are those of RFC 5280 section 4.2.1.6 and of the CA/Browser Forum's baseline requirements.
 * @param pattern of a host, without a path. @param byDns whether names can be proved by DNS, so that wildcards are possible.
 */
export function whyNotOrderable(pattern: string, byDns: boolean): string | null {
  const name = pattern.startsWith('*.') ? pattern.slice(2) : pattern;
  if (pattern === '*') return '"*" stands for all hosts, and is the name of none';
  if (pattern !== name && !byDns)
    return 'a wildcard is proved by DNS only, and acme.challenges has no such challenge; its hosts get certificates of their own';
  if (name.includes('*')) return 'only the first label of a name can be "*"';
  if (isIP(name) !== 0 || name.startsWith('['))
    return 'clients do not say which address they want (RFC 6066), so no certificate can be chosen by it';
  const strange = /[^a-z0-9.-]/i.exec(name)?.[0];
  if (strange === '_') return 'names with "_" are not allowed in certificates; a wildcard of its parent covers it';
  if (strange !== undefined && strange > '\x7f')
    return `"${strange}" must be written as clients send it, in punycode (xn--…)`;
  if (strange !== undefined) return `"${strange}" is not allowed in a name`;
  if (name.length > nameCharsMax) return `the name is longer than ${nameCharsMax} characters`;
  return whyNotLabels(name.split('.'));
}

function whyNotLabels(labels: readonly string[]): string | null {
  for (const label of labels) {
    if (label === '') return 'a label of the name is empty';
    if (label.length > labelCharsMax) return `a label of the name is longer than ${labelCharsMax} characters`;
    if (/^-|-$/.test(label)) return `the label "${label}" begins or ends with "-"`;
  }
  if (labels.length < 2) return 'a name of one label belongs to nobody in public';
  if (/^\d+$/.test(labels.at(-1) ?? '')) return 'no top-level domain is a number';
  return null;
}

/** The wildcard whose certificate is valid for a host (RFC 9525 section 6.3); null for a wildcard. */
export function wildcardAbove(host: string): string | null {
  const dot = host.indexOf('.');
  return host.startsWith('*') || dot === -1 ? null : `*${host.slice(dot)}`;
}
