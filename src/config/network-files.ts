import { resolve } from 'node:path';
import { readNetwork } from '../base/networks.ts';
import { readRegularFileSync } from '../base/regular-file.ts';

const scheme = 'file:';
/** Largest file of networks, in bytes. The published lists of delivery networks have a few KB. */
const fileBytesMax = 1024 * 1024;
/** Networks of all files together. */
const networksMax = 100_000;

/** Whether the entry names a file of networks, `file:/etc/hipache/cloudflare.txt`. */
export function isNetworkFile(entry: string): boolean {
  return entry.startsWith(scheme) && entry.length > scheme.length;
}

/**
 * The networks of a list, with those of the files that it names: one address or network a line; empty lines, and what follows a
 * `#`, do not count. An empty file is a problem: it is most likely a download that has failed.
 * @param directory that relative paths start from.
 */
export function expandNetworks(
  key: string,
  entries: readonly string[],
  directory: string,
): { readonly networks: readonly string[]; readonly problems: readonly string[] } {
  const networks: string[] = [];
  const problems: string[] = [];
  for (const [index, entry] of entries.entries()) {
    if (!isNetworkFile(entry)) {
      networks.push(entry);
      continue;
    }
    const path = resolve(directory, entry.slice(scheme.length));
    try {
      const found = readNetworks(path);
      networks.push(...found);
      if (found.length === 0) problems.push(`${key}[${index}]: ${path} has no networks`);
    } catch (error) {
      problems.push(`${key}[${index}]: ${(error as Error).message}`);
    }
  }
  if (networks.length > networksMax) problems.push(`${key}: found ${networks.length} networks, allowed ${networksMax}`);
  return { networks, problems };
}

function readNetworks(path: string): string[] {
  const lines = readRegularFileSync(path, fileBytesMax).toString().split(/\r?\n/);
  return lines.flatMap((line, number) => {
    const network = line.replace(/#.*/, '').trim();
    if (network === '') return [];
    if (readNetwork(network) !== null) return [network];
    throw new Error(
      `${path}, line ${number + 1}: found ${JSON.stringify(network.slice(0, 100))}, allowed an address or a network`,
    );
  });
}
