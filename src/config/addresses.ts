import { isIP, isIPv4, isIPv6 } from 'node:net';

const label = /^(?!-)[a-z0-9-]{1,63}(?<!-)$/i;

/** Whether it is an address to listen on: IPv4, IPv6 without brackets, or a host name such as `localhost`. */
export function isListenAddress(value: string): boolean {
  if (isIP(value) !== 0) return true;
  if (value.length > 253 || /^[\d.]+$/.test(value)) return false;
  return value.split('.').every((part) => label.test(part));
}

/** Whether it is an IP address, or a network in CIDR notation: `10.0.0.0/8`, `2001:db8::/32`. */
export function isAddressOrNetwork(value: string): boolean {
  const slash = value.indexOf('/');
  const address = slash === -1 ? value : value.slice(0, slash);
  if (isIP(address) === 0 || address.includes('%')) return false;
  if (slash === -1) return true;
  const bits = value.slice(slash + 1);
  return /^(0|[1-9]\d{0,2})$/.test(bits) && Number(bits) <= (isIPv4(address) ? 32 : 128);
}

/** Whether it is the address of a name server: `10.0.0.1`, `::1`, with a port `10.0.0.1:5353` or `[::1]:5353`. */
export function isNameServer(value: string): boolean {
  if (isIP(value) !== 0) return true;
  const [, six, four = '', port = ''] = /^(?:\[(.*)\]|([\d.]+)):([1-9]\d{0,4})$/.exec(value) ?? [];
  return (six === undefined ? isIPv4(four) : isIPv6(six)) && Number(port) <= 65_535;
}
