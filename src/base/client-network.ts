/**
 * The part of an address by which a client counts: all of an IPv4 address, and the /64 of an IPv6 address, of which a client
 * usually has a whole one (RFC 6177 section 2, RFC 4291 section 2.5.1).
 * @returns an IPv4 address, also of `::ffff:a.b.c.d`; or four groups, in lower case and without leading zeros.
 */
export function networkOf(address: string): string {
  if (!address.includes(':')) return address;
  const colon = address.lastIndexOf(':');
  // IPv4 as `::ffff:a.b.c.d`.
  if (address.includes('.', colon)) return address.slice(colon + 1);
  const [before = '', after] = address.toLowerCase().split('::');
  const groups = before === '' ? [] : before.split(':');
  const last = after === undefined || after === '' ? [] : after.split(':');
  const zeros = Math.max(0, 8 - groups.length - last.length);
  groups.push(...new Array<string>(zeros).fill('0'), ...last);
  return groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':');
}
