import { BlockList, isIP } from 'node:net';
import type { OptionType } from './option-type.ts';

/** An address, or a network by its first address and the bits that its addresses share. */
export interface Network {
  readonly address: string;
  readonly bits: number;
}

/** `10.0.0.0/8`, `2001:db8::/32`, or one address. */
export const network: OptionType<Network> = {
  allowed: 'an address or a network such as 10.0.0.0/8',
  parse(text) {
    const [, address = '', bits] = /^([0-9a-fA-F.:]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
    const family = isIP(address);
    const bitsMax = family === 4 ? 32 : 128;
    const count = bits === undefined ? bitsMax : Number(bits);
    return family === 0 || count > bitsMax ? undefined : { address, bits: count };
  },
};

/** Whether the text is an IP address. */
export function isAddress(text: string): boolean {
  return isIP(text) !== 0;
}

/** A set of networks. */
export class Networks {
  private readonly list = new BlockList();

  /** The set of a list, which is made once for each list. */
  static of(networks: readonly Network[]): Networks {
    let known = sets.get(networks);
    if (known === undefined) {
      known = new Networks(networks);
      sets.set(networks, known);
    }
    return known;
  }

  private constructor(networks: readonly Network[]) {
    for (const { address, bits } of networks) this.list.addSubnet(address, bits, isIP(address) === 4 ? 'ipv4' : 'ipv6');
  }

  /** @param address also in the form `::ffff:a.b.c.d`. One that is none is in no network. */
  has(address: string): boolean {
    const plain = address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
    const family = isIP(plain);
    return family !== 0 && this.list.check(plain, family === 4 ? 'ipv4' : 'ipv6');
  }
}

const sets = new WeakMap<readonly Network[], Networks>();
