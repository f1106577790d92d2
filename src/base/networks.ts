import { BlockList, isIP } from 'node:net';

/** An address, or a network by its first address and the bits that its addresses share. */
export interface Network {
  readonly address: string;
  readonly bits: number;
}

/** `10.0.0.0/8`, `2001:db8::/32`, or one address; null for other text. Zone ids are refused: they mean nothing elsewhere. */
export function readNetwork(text: string): Network | null {
  const [, address = '', bits] = /^([0-9a-fA-F.:]+)(?:\/(0|[1-9]\d{0,2}))?$/.exec(text) ?? [];
  const family = isIP(address);
  const bitsMax = family === 4 ? 32 : 128;
  const count = bits === undefined ? bitsMax : Number(bits);
  return family === 0 || count > bitsMax ? null : { address, bits: count };
}

/** A set of networks. */
export class Networks {
  private readonly list = new BlockList();
  private readonly isEmpty: boolean;

  /** The set of a list, which is made once for each list. */
  static of(networks: readonly Network[]): Networks {
    let known = sets.get(networks);
    if (known === undefined) {
      known = new Networks(networks);
      sets.set(networks, known);
    }
    return known;
  }

  /** The set of texts that `readNetwork` can read; others are left out. */
  static read(texts: readonly string[]): Networks {
    return new Networks(texts.map(readNetwork).filter((network) => network !== null));
  }

  private constructor(networks: readonly Network[]) {
    this.isEmpty = networks.length === 0;
    for (const { address, bits } of networks) this.list.addSubnet(address, bits, isIP(address) === 4 ? 'ipv4' : 'ipv6');
  }

  /** @param address IPv4 also in the form `::ffff:a.b.c.d`. One that is none is in no network. */
  has(address: string): boolean {
    if (this.isEmpty) return false;
    const isMapped = address.includes('.') && /^::ffff:/i.test(address);
    const plain = isMapped ? address.slice('::ffff:'.length) : address;
    const family = isIP(plain);
    return family !== 0 && this.list.check(plain, family === 4 ? 'ipv4' : 'ipv6');
  }
}

const sets = new WeakMap<readonly Network[], Networks>();
