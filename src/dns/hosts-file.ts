import { isIPv4, isIPv6 } from 'node:net';

/** The names of a hosts file in lower case, with their addresses, IPv4 first. */
export type HostsTable = ReadonlyMap<string, readonly string[]>;

/** Parses a hosts file, hosts(5): an address, then its names; `#` starts a comment. Other lines are ignored. */
export function parseHosts(text: string): HostsTable {
  const table = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [address = '', ...names] = words(line);
    if (!isIPv4(address) && !isIPv6(address)) continue;
    for (const name of names) {
      const key = name.toLowerCase();
      const addresses = table.get(key) ?? [];
      if (!addresses.includes(address)) table.set(key, [...addresses, address]);
    }
  }
  for (const [name, addresses] of table) {
    table.set(name, [...addresses.filter(isIPv4), ...addresses.filter(isIPv6)]);
  }
  return table;
}

/** Whether RFC 6761, section 6.3, makes it a name of this machine. */
export function isLocalhost(name: string): boolean {
  return /^(?:.*\.)?localhost\.?$/.test(name);
}

function words(line: string): readonly string[] {
  const comment = line.indexOf('#');
  return (comment === -1 ? line : line.slice(0, comment)).split(/\s+/).filter((word) => word !== '');
}
