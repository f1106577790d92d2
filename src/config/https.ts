import { z } from 'zod';
import { key, text, trueOrFalse, wholeNumber } from './keys.ts';
import { address, bindList, portOfBind, proxyProtocol } from './listen.ts';

const tls = {
  key: text({
    source: '0.4',
    description: 'Path of the private key of `cert`, PEM.',
    allowed: 'a path',
    secret: true,
  }).optional(),
  cert: text({
    source: '0.4',
    description: 'Path of the certificate for names that have none of their own, PEM, its chain behind it.',
    allowed: 'a path',
    secret: true,
  }).optional(),
  ca: key(z.union([z.string().min(1), z.array(z.string().min(1))]).optional(), {
    source: '0.4',
    description: 'Path or paths of the certificates that complete the chain of `cert`, PEM.',
    allowed: 'a path or an array of paths',
    secret: true,
  }),
  passphrase: key(z.string().optional(), {
    source: '0.4',
    description: 'The passphrase of the private key.',
    allowed: 'a string',
    secret: true,
  }),
  ciphers: key(z.string().min(1).optional(), {
    source: '0.4',
    description: 'Ciphers, in the notation of OpenSSL. A list that it refuses gets a warning, and the default serves.',
    allowed: 'a string',
  }),
  honorCipherOrder: key(z.boolean().optional(), {
    source: '0.4',
    description: "The server's order of ciphers takes precedence over the client's.",
    allowed: 'true or false',
  }),
  secureProtocol: key(z.string().min(1).optional(), {
    source: '0.4',
    description: 'The name of a protocol method of OpenSSL. TLS 1.2 and 1.3 are served; older ones get a warning.',
    allowed: 'a string such as "TLSv1_2_method"',
  }),
  secureOptions: key(z.union([z.int(), z.string()]).optional(), {
    source: '0.4',
    description: 'Options of OpenSSL: their sum, or their names. Options without a meaning today get a warning.',
    allowed: 'a whole number, or names such as "SSL_OP_NO_TICKET"',
  }),
};

const httpsBind = z.object({ address: address(), port: portOfBind(), proxyProtocol: proxyProtocol(), ...tls });

/** `https`: where to listen with TLS. Names and meanings of what a bind may have are Hipache's. */
export const httpsSection = z.object({
  port: wholeNumber(0, 65_535, 443, { source: '0.4', description: 'The port of every address that names none.' }),
  bind: bindList(httpsBind, 'key, cert, …', '[]'),
  ...tls,
  certificates: key(z.string().min(1).nullable().default(null), {
    source: 'new',
    description: 'Directory of certificates by host, chosen by SNI; null: none.',
    allowed: 'a path, or null',
    default: 'null',
  }),
  storeCertificates: trueOrFalse(true, {
    source: 'new',
    description: 'Certificates are looked for in the store too: the records `tls:<host>`.',
  }),
});

/** `backendTls`: how connections to `https://` backends are made. */
export const backendTlsSection = z.object({
  verify: trueOrFalse(true, {
    source: 'new',
    description: 'Backends have to show a certificate that is trusted and names them.',
  }),
  ca: key(z.union([z.string().min(1), z.array(z.string().min(1))]).optional(), {
    source: 'new',
    description: 'Path or paths of the authorities that are trusted, PEM, in place of the public ones.',
    allowed: 'a path or an array of paths',
    default: 'the public ones',
  }),
});
