import { z } from 'zod';
import { nameServers } from './dns.ts';
import { key, oneOf, text, trueOrFalse, wholeNumber } from './keys.ts';

const challengeKinds = ['http-01', 'tls-alpn-01', 'dns-01', 'dns-persist-01'] as const;

const directoryUrl = z.url({ protocol: /^https$/ });

const externalAccount = z.object({
  keyId: text({
    source: 'new',
    description: 'Id of the key that the authority has given its customer.',
    allowed: 'a text',
  }),
  hmacKey: key(z.string().regex(/^[\w-]{16,1000}$/), {
    source: 'new',
    description: 'That key, as the authority shows it.',
    allowed: 'a text in base64url',
    secret: true,
  }),
});

function hasNoCredentials(url: string): boolean {
  const { password, username } = new URL(url);
  return username === '' && password === '';
}

const dnsHook = z.object({
  command: text({
    source: 'new',
    description:
      'Path of a program, which is called with `present` or `cleanup`, the name of the record with its final dot, and the value, as by the provider `exec` of lego.',
    allowed: 'a path',
  }).optional(),
  url: key(
    z
      .url({ protocol: /^https?$/ })
      .refine(hasNoCredentials)
      .optional(),
    {
      source: 'new',
      description:
        'Or a URL below which `/present` and `/cleanup` take a POST with the JSON `{"fqdn", "value"}`, as for the provider `httpreq` of lego.',
      allowed: 'a URL without a password: that is `password`',
    },
  ),
  username: text({ source: 'new', description: 'For the URL.', allowed: 'a text' }).optional(),
  password: key(z.string().max(4096).optional(), {
    source: 'new',
    description: 'For the URL.',
    allowed: 'a text',
    secret: true,
  }),
  aliasZone: text({
    source: 'new',
    description:
      'A domain of yours for proofs alone: a record is written for the target of an alias (CNAME) of `_acme-challenge.NAME`, if that lies in it. Owners of names choose their aliases: without a zone, none is followed.',
    allowed: 'a domain such as "proofs.example.com"',
    default: 'none',
  }).optional(),
  waitSeconds: wholeNumber(1, 3600, 120, {
    source: 'new',
    unit: 'seconds',
    description: 'How long the name servers of a zone may take until all of them have the record.',
  }),
});

/** `acme`: certificates that Hipache orders. Off unless a directory is given. */
export const acmeSection = z.object({
  directory: key(z.union([directoryUrl, z.array(directoryUrl).min(1).max(10)]).optional(), {
    source: 'new',
    description:
      'URL of the directory of a certificate authority (ACME, RFC 8555), or of several: the next one is asked if one fails. Setting it means to agree to the terms of service of the authority.',
    allowed: 'a URL such as "https://acme-v02.api.letsencrypt.org/directory", or an array of URLs',
    default: 'none: nothing is ordered',
  }),
  hosts: oneOf(['listed', 'all'], {
    source: 'new',
    description:
      '`listed`: certificates are ordered for hosts with the option `tls auto`. `all`: for all hosts but those with `tls off`.',
    default: '"listed"',
  }),
  contact: key(z.union([z.email(), z.array(z.email()).max(10)]).optional(), {
    source: 'new',
    description: 'Address to which the authority writes if something is wrong.',
    allowed: 'an e-mail address, or an array of them',
  }),
  ca: text({
    source: 'new',
    description: 'Path of the authorities that are trusted for these URLs, in PEM format, in place of the public ones.',
    allowed: 'a path',
  }).optional(),
  profile: text({
    source: 'new',
    description:
      'Profile of the certificates, of those that the authority offers, such as "shortlived". Renewals have it too.',
    allowed: 'a name',
    default: "the authority's own choice",
  }).optional(),
  preferredChain: text({
    source: 'new',
    description: 'Common name of the root that the chain should end with, if the authority offers several chains.',
    allowed: 'a name',
    default: "the authority's own choice",
  }).optional(),
  externalAccount: key(externalAccount.optional(), {
    source: 'new',
    description: 'For authorities that serve their customers only (RFC 8555 section 7.3.4).',
    allowed: 'an object with keyId and hmacKey',
  }),
  passphrase: key(z.string().min(16).max(1024).optional(), {
    source: 'new',
    description:
      'Encrypts the private keys in the store, the same on all instances. Certificates that were ordered with another one cannot be used.',
    allowed: 'a text of 16 to 1024 characters',
    default: 'none: keys are not encrypted',
    secret: true,
  }),
  challenges: key(z.array(z.enum(challengeKinds)).min(1).default(['http-01', 'tls-alpn-01', 'dns-01']), {
    source: 'new',
    description:
      'How names may be proved, the preferred way first. `http-01` needs an address in `http.bind` that authorities reach on port 80, `tls-alpn-01` one in `https.bind` that they reach on port 443, `dns-01` the section `acme.dns`. With `dns-01` or `dns-persist-01`, certificates are ordered for wildcards.',
    allowed: 'an array of "http-01", "tls-alpn-01", "dns-01" and "dns-persist-01"',
    default: '["http-01", "tls-alpn-01", "dns-01"]',
  }),
  dns: key(dnsHook.optional(), {
    source: 'new',
    description: 'How TXT records are written for `dns-01`: by a program or a web service of yours.',
    allowed: 'an object with command or url',
  }),
  check: trueOrFalse(true, {
    source: 'new',
    description:
      'Whether Hipache looks for a challenge of its own before an order is begun, as the authority will, so that a name that does not point here costs no order. Turn it off if the instances cannot reach their own public addresses.',
  }),
  httpPort: wholeNumber(1, 65_535, 80, {
    source: 'new',
    description:
      'Port on which the authority asks for proofs by `http-01`, for that check. Only private authorities have another one.',
  }),
  tlsPort: wholeNumber(1, 65_535, 443, {
    source: 'new',
    description: 'The same for `tls-alpn-01`.',
  }),
  nameServers: nameServers(
    'Name servers for that check. An empty array: those of `dns.servers`, or else of `/etc/resolv.conf`.',
  ),
  ordersPerHourMax: wholeNumber(1, 1_000_000, 300, {
    source: 'new',
    unit: 'orders',
    description:
      'Orders of the fleet in an hour, renewals not counted. Further names wait. At most half of them are for hosts without a route of their own, which a wildcard covers.',
  }),
  ordersPerDomainMax: wholeNumber(1, 1_000_000, 50, {
    source: 'new',
    unit: 'orders',
    description:
      'Of these, orders for names of one registered domain (`example.com`, `example.co.uk`), for which authorities have limits.',
  }),
  ordersPerAddressMax: wholeNumber(1, 1_000_000, 20, {
    source: 'new',
    unit: 'names',
    description:
      'Names that the handshakes of one client can have looked at in an hour, by its IPv4 address or IPv6 network (/64), of hosts without a route of their own. Each may lead to an order.',
  }),
  keepRemovedDays: wholeNumber(0, 3650, 30, {
    source: 'new',
    unit: 'days',
    description: 'How long the certificate of a host that was removed is kept in the store after its end.',
  }),
});
