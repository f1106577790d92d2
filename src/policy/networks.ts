import { type Network, readNetwork } from '../base/networks.ts';
import type { OptionType } from './option-type.ts';

export const network: OptionType<Network> = {
  allowed: 'an address or a network such as 10.0.0.0/8',
  parse: (text) => readNetwork(text) ?? undefined,
};
