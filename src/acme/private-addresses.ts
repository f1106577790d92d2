import { BlockList, isIPv6 } from 'node:net';

const networks = new BlockList();
// RFC 6890: this network, private ones, shared ones, loopback, link-local ones, benchmarks.
for (const [network, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
] as const) {
  networks.addSubnet(network, bits, 'ipv4');
}
for (const [network, bits] of [
  ['::', 127],
  ['64:ff9b::', 96],
  ['fc00::', 7],
  ['fe80::', 10],
] as const) {
  networks.addSubnet(network, bits, 'ipv6');
}

/** Whether an address is none of the public Internet. An IPv4 address in the form of IPv6 counts as that of IPv4. */
export function isPrivateAddress(address: string): boolean {
  return networks.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}
