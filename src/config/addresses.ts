import { isIP, isIPv4, isIPv6 } from 'node:net';

const label = /^(?!-)[a-z0-9-]{1,63}(?<!-)$/i;

/** Whether it is an address to listen on: IPv4, IPv6 without brackets, or a host name such as `localhost`. */
export function isListenAddress(value: string): boolean {
  if (isIP(value) !== 0) return true;
  if (value.length > 253 || /^[\d.]+$/.test(value)) return false;
  return value.split('.').every((part) => label.test(part));
}

/** Whether it is the address of a name server: `10.0.0.1`, `::1`, with a port `10.0.0.1:5353` or `[::1]:5353`. */
export function isNameServer(value: string): boolean {
  if (isIP(value) !== 0) return true;
  const [, six, four = '', port = ''] = /^(?:\[(.*)\]|([\d.]+)):([1-9]\d{0,4})$/.exec(value) ?? [];
  return (six === undefined ? isIPv4(four) : isIPv6(six)) && Number(port) <= 65_535;
}
