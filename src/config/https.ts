import { z } from 'zod';
import { key, oneOf, text, trueOrFalse, wholeNumber } from './keys.ts';
import { address, bindList, clientProtocols, connectionTraits, portOfBind } from './listen.ts';

const tls = {
  alpn: key(
    z
      .array(
        oneOf(clientProtocols, {
          source: 'new',
          description: 'One protocol.',
        }).unwrap(),
      )
      .min(1)
      .max(2)
      .optional(),
    {
      source: 'new',
      description:
        'The protocols that clients may choose by ALPN, the preferred one first. One that does not use ALPN speaks HTTP/1.1.',
      allowed: 'an array of "h2" and "http/1.1"',
      default: '["h2", "http/1.1"]',
    },
  ),
  key: text({
    source: '0.4',
    description: 'Path of the private key for `cert`, in PEM format.',
    allowed: 'a path',
    secret: true,
  }).optional(),
  cert: text({
    source: '0.4',
    description: 'Path of the certificate for names without one of their own, followed by its chain, in PEM format.',
    allowed: 'a path',
    secret: true,
  }).optional(),
  ca: key(z.union([z.string().min(1), z.array(z.string().min(1))]).optional(), {
    source: '0.4',
    description: 'Path or paths of further certificates that complete the chain of `cert`, in PEM format.',
    allowed: 'a path or an array of paths',
    secret: true,
  }),
  passphrase: key(z.string().optional(), {
    source: '0.4',
    description: 'Passphrase of the private key.',
    allowed: 'a string',
    secret: true,
  }),
  ciphers: key(z.string().min(1).optional(), {
    source: '0.4',
    description:
      'Ciphers in OpenSSL notation. If OpenSSL rejects the list, a warning is logged and the default applies.',
    allowed: 'a string',
  }),
  honorCipherOrder: key(z.boolean().optional(), {
    source: '0.4',
    description: "The server's cipher order takes precedence over the client's.",
    allowed: 'true or false',
  }),
  secureProtocol: key(z.string().min(1).optional(), {
    source: '0.4',
    description: 'Name of an OpenSSL protocol method. TLS 1.2 and 1.3 are supported; older methods get a warning.',
    allowed: 'a string such as "TLSv1_2_method"',
  }),
  secureOptions: key(z.union([z.int(), z.string()]).optional(), {
    source: '0.4',
    description: 'OpenSSL options: their sum or their names. Options without a meaning today get a warning.',
    allowed: 'a whole number, or names such as "SSL_OP_NO_TICKET"',
  }),
};

const httpsBind = z.object({ address: address(), port: portOfBind(), ...connectionTraits(), ...tls });

/** `https`: where to listen with TLS. Names and meanings of the keys of a bind are those of Hipache 0.4. */
export const httpsSection = z.object({
  port: wholeNumber(0, 65_535, 443, { source: '0.4', description: 'Port of every address without one of its own.' }),
  bind: bindList(httpsBind, 'key, cert, …', '[]'),
  ...tls,
  certificates: key(z.string().min(1).nullable().default(null), {
    source: 'new',
    description: 'Directory of certificates named by host and chosen by SNI; null: none.',
    allowed: 'a path, or null',
    default: 'null',
  }),
  sharedTicketKeys: trueOrFalse(false, {
    source: 'new',
    description:
      'Whether the instances that share a store share the keys of session tickets, so that a client resumes its session on any of them.',
  }),
  storeCertificates: trueOrFalse(true, {
    source: 'new',
    description: 'Whether to look up certificates in the store too, in the records `tls:<host>`.',
  }),
});

/** `backendTls`: how to connect to `https://` backends. */
export const backendTlsSection = z.object({
  verify: trueOrFalse(true, {
    source: 'new',
    description: 'Whether backends must present a trusted certificate for their name.',
  }),
  ca: key(z.union([z.string().min(1), z.array(z.string().min(1))]).optional(), {
    source: 'new',
    description: 'Path or paths of the trusted authorities, in PEM format, instead of the public ones.',
    allowed: 'a path or an array of paths',
    default: 'the public ones',
  }),
  alpn: key(
    z
      .array(oneOf(clientProtocols, { source: 'new', description: 'One protocol.' }).unwrap())
      .min(1)
      .max(2)
      .optional(),
    {
      source: 'new',
      description:
        'Protocols that are offered to `https://` backends by ALPN. With `["h2", "http/1.1"]`, those that can speak HTTP/2. Backends `h2://` always do.',
      allowed: 'h2, http/1.1',
      default: '["http/1.1"]',
    },
  ),
});
