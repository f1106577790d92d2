import { Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { AcmeError } from './acme-error.ts';
import type { TextRecord } from './dns-records.ts';

export interface PublicDnsOptions {
  /** `address` or `address:port`; none: those of the machine. */
  readonly servers: readonly string[];
  readonly timeoutMs: number;
  /** Port of the name servers of zones. Default: 53. */
  readonly zonePort?: number;
}

/** Aliases that are followed. */
const aliasesMax = 8;
/** Name servers of a zone that are asked. */
const zoneServersMax = 8;
/** Between two looks for a record, in ms. */
const lookEveryMs = 2000;

/** The DNS as authorities see it: the hosts file of this machine does not count. */
export class PublicDns {
  private readonly options: PublicDnsOptions;
  private readonly resolver: Resolver;

  constructor(options: PublicDnsOptions) {
    this.options = options;
    this.resolver = this.resolverAt(options.servers);
  }

  /** The addresses of a name, IPv6 first, as authorities try them. @throws AcmeError `checkFailed` if it has none. */
  async addresses(name: string): Promise<string[]> {
    const found = await Promise.allSettled([this.resolver.resolve6(name), this.resolver.resolve4(name)]);
    const addresses = found.flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
    if (addresses.length > 0) return addresses;
    const codes = found.flatMap((one) => (one.status === 'rejected' ? [codeOf(one.reason)] : []));
    const odd = codes.find((code) => !isAbsent(code));
    const why =
      odd !== undefined
        ? `its name servers do not say where it is (${odd})`
        : `it does not exist in the DNS, or has no address (${codes.at(-1)}): it needs an A or AAAA record that points here`;
    throw new AcmeError(why, { type: 'checkFailed' });
  }

  /** The values of the TXT records of a name; none if it has none. @throws AcmeError `checkFailed` if nobody says. */
  async texts(name: string): Promise<string[]> {
    try {
      return await textsBy(this.resolver, name);
    } catch (error) {
      throw new AcmeError(`${name}: its name servers do not say which records it has (${codeOf(error)})`, {
        ...{ type: 'checkFailed', cause: error },
      });
    }
  }

  /** The name behind the aliases (CNAME) of a name, in lower case. @throws AcmeError `checkFailed` if nobody says. */
  async target(name: string): Promise<string> {
    let target = name;
    for (let aliases = 0; aliases < aliasesMax; aliases++) {
      const [next] = await this.resolver.resolveCname(target).catch((error: unknown): string[] => {
        if (isAbsent(codeOf(error))) return [];
        throw new AcmeError(`${target}: its name servers do not say whether it is an alias (${codeOf(error)})`, {
          ...{ type: 'checkFailed', cause: error },
        });
      });
      if (next === undefined) break;
      target = next.toLowerCase();
    }
    return target;
  }

  /**
   * Waits until all name servers of its zone have a record; if they cannot be found, the servers of the configuration.
   * @throws AcmeError `proofNotShown` after `waitMs`.
   */
  async present(record: TextRecord, waitMs: number): Promise<void> {
    const { name, value } = record;
    const servers = await this.serversOf(name);
    const resolvers = servers.length === 0 ? [this.resolver] : servers.map((server) => this.resolverAt([server]));
    const endMs = performance.now() + waitMs;
    for (;;) {
      const found = await Promise.all(resolvers.map((resolver) => textsBy(resolver, name).catch((): string[] => [])));
      const missing = found.findIndex((texts) => !texts.includes(value));
      if (missing === -1) return;
      if (performance.now() >= endMs) {
        const where = servers[missing] ?? 'the name servers';
        const why = `${where} did not have the TXT record ${name} within ${Math.round(waitMs / 1000)} s`;
        throw new AcmeError(why, { type: 'proofNotShown' });
      }
      await delay(lookEveryMs, undefined, { ref: false });
    }
  }

  /** Addresses of the name servers of the zone of a name. */
  private async serversOf(name: string): Promise<string[]> {
    const { zonePort = 53 } = this.options;
    const labels = name.split('.');
    for (let i = 0; i < labels.length - 1; i++) {
      const names = await this.resolver.resolveNs(labels.slice(i).join('.')).catch((): string[] => []);
      if (names.length === 0) continue;
      const addresses = await Promise.all(
        names.map((server) => this.resolver.resolve4(server).catch((): string[] => [])),
      );
      return addresses
        .flat()
        .slice(0, zoneServersMax)
        .map((address) => `${address}:${zonePort}`);
    }
    return [];
  }

  private resolverAt(servers: readonly string[]): Resolver {
    const resolver = new Resolver({ timeout: this.options.timeoutMs, tries: 2 });
    // An IPv6 address needs brackets only before a port.
    if (servers.length > 0) resolver.setServers(servers.map((server) => (isIP(server) === 6 ? `[${server}]` : server)));
    return resolver;
  }
}

async function textsBy(resolver: Resolver, name: string): Promise<string[]> {
  try {
    return (await resolver.resolveTxt(name)).map((parts) => parts.join(''));
  } catch (error) {
    if (isAbsent(codeOf(error))) return [];
    throw error;
  }
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'unknown';
}

function isAbsent(code: string): boolean {
  return code === 'ENODATA' || code === 'ENOTFOUND';
}
