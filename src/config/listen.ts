import { z } from 'zod';
import { isListenAddress } from './addresses.ts';
import { key, trueOrFalse } from './keys.ts';

const addressAllowed = 'an IP address or a host name';

export function address() {
  return key(z.string().refine(isListenAddress), {
    source: '0.4',
    description: 'The address to listen on.',
    allowed: addressAllowed,
  });
}

export function portOfBind() {
  return key(z.int().min(0).max(65_535).optional(), {
    source: '0.4',
    description: 'The port of this address.',
    allowed: 'a whole number from 0 to 65535',
    default: 'the `port` beside `bind`',
  });
}

/** How the connections to one address behave. */
export function connectionTraits() {
  return {
    proxyProtocol: trueOrFalse(false, {
      source: 'new',
      description:
        'Whether connections to this address start with a PROXY protocol header, version 1 or 2; others are then closed.',
    }),
    halfClose: trueOrFalse(false, {
      source: 'new',
      description:
        'Whether a client that closes its sending side after a request still gets the response. By default, it counts as gone.',
    }),
  };
}

/** The protocols that clients may speak. */
export const clientProtocols = ['h2', 'http/1.1'] as const;

const httpBind = z.object({
  address: address(),
  port: portOfBind(),
  ...connectionTraits(),
  h2c: trueOrFalse(false, {
    source: 'new',
    description: 'Whether clients may speak HTTP/2 without TLS to this address, by prior knowledge, beside HTTP/1.1.',
  }),
});

/** `http`: where to listen for plain HTTP. */
export const httpSection = z.object({
  port: key(z.int().min(0).max(65_535).optional(), {
    source: '0.4',
    description: 'Port of every address without one of its own. 0 stands for any free port.',
    allowed: 'a whole number from 0 to 65535',
    default: '80; without a file 8080',
  }),
  bind: bindList(httpBind, 'proxyProtocol, halfClose, h2c', '"127.0.0.1"'),
});

export function bindList<Entry extends z.ZodType>(entry: Entry, more: string, defaultText: string) {
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
