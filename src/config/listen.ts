import { z } from 'zod';
import { isListenAddress } from './addresses.ts';
import { key, text, trueOrFalse, wholeNumber } from './keys.ts';

const addressAllowed = 'an IP address or a host name';

function address() {
  return key(z.string().refine(isListenAddress), {
    source: '0.4',
    description: 'The address to listen on.',
    allowed: addressAllowed,
  });
}

function portOfBind() {
  return key(z.int().min(0).max(65_535).optional(), {
    source: '0.4',
    description: 'The port of this address.',
    allowed: 'a whole number from 0 to 65535',
    default: 'the `port` beside `bind`',
  });
}

const httpBind = z.object({
  address: address(),
  port: portOfBind(),
  proxyProtocol: trueOrFalse(false, {
    source: 'new',
    description: 'Connections to this address start with a PROXY protocol header, version 1 or 2; others are refused.',
  }),
});

/** `http`: where to listen for plain HTTP. */
export const httpSection = z.object({
  port: key(z.int().min(0).max(65_535).optional(), {
    source: '0.4',
    description: 'The port of every address that names none. 0 takes any free port.',
    allowed: 'a whole number from 0 to 65535',
    default: '80; without a file 8080',
  }),
  bind: bindList(httpBind, 'proxyProtocol', '"127.0.0.1"'),
});

const tls = {
  key: text({
    source: '0.4',
    description: 'Path of the private key, PEM.',
    allowed: 'a path',
    secret: true,
  }).optional(),
  cert: text({
    source: '0.4',
    description: 'Path of the certificate, PEM.',
    allowed: 'a path',
    secret: true,
  }).optional(),
  ca: key(z.union([z.string().min(1), z.array(z.string().min(1))]).optional(), {
    source: '0.4',
    description: 'Path or paths of the certificates of authorities, PEM.',
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
    description: 'Ciphers, in the notation of OpenSSL.',
    allowed: 'a string',
  }),
  honorCipherOrder: key(z.boolean().optional(), {
    source: '0.4',
    description: "The server's order of ciphers goes before the client's.",
    allowed: 'true or false',
  }),
  secureProtocol: key(z.string().min(1).optional(), {
    source: '0.4',
    description: 'The name of a protocol method of OpenSSL.',
    allowed: 'a string',
  }),
  secureOptions: key(z.union([z.int(), z.string()]).optional(), {
    source: '0.4',
    description: 'Options of OpenSSL.',
    allowed: 'a whole number or a string',
  }),
};

const httpsBind = z.object({ address: address(), port: portOfBind(), ...tls });

/** `https`: read and checked, so that a file of the original is understood; TLS itself is not in this version. */
export const httpsSection = z.object({
  port: wholeNumber(0, 65_535, 443, { source: '0.4', description: 'The port of every address that names none.' }),
  bind: bindList(httpsBind, 'key, cert, …', '[]'),
  ...tls,
});

function bindList<Entry extends z.ZodType>(entry: Entry, more: string, defaultText: string) {
  const one = key(z.union([z.string().refine(isListenAddress), entry]), {
    source: '0.4',
    description: 'One address.',
    allowed: `${addressAllowed}, or an object of address, port, ${more}`,
  });
  return key(z.union([z.string().refine(isListenAddress), z.array(one).max(1000)]).optional(), {
    source: '0.4',
    description: 'The addresses to listen on.',
    allowed: `${addressAllowed}, or an array of them or of objects of address, port, ${more}`,
    default: defaultText,
  });
}
