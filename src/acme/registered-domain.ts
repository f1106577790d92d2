import { getDomain } from 'tldts';

/**
 * The domain that somebody has registered for a name, which the limits of authorities are for: `example.co.uk` for
 * `www.example.co.uk`, by the public suffix list with its private part, as Let's Encrypt takes it. A name without one stands
 * for itself.
 * @param pattern a host, or a wildcard.
 */
export function registeredDomain(pattern: string): string {
  const name = pattern.startsWith('*.') ? pattern.slice(2) : pattern;
  return getDomain(name, { allowPrivateDomains: true, validateHostname: false, extractHostname: false }) ?? name;
}
