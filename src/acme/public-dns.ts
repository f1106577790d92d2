import { Resolver } from 'node:dns/promises';
import { AcmeError } from './acme-error.ts';

/** Answers of the DNS as authorities see it: the hosts file of this machine does not count. */
export class PublicDns {
  private readonly resolver: Resolver;

  /** @param servers `address` or `address:port`; none: those of the machine. */
  constructor(servers: readonly string[], timeoutMs: number) {
    this.resolver = new Resolver({ timeout: timeoutMs, tries: 2 });
    if (servers.length > 0) this.resolver.setServers(servers);
  }

  /** The addresses of a name, IPv6 first, as authorities try them. @throws AcmeError `checkFailed` if it has none. */
  async addresses(name: string): Promise<string[]> {
    const found = await Promise.allSettled([this.resolver.resolve6(name), this.resolver.resolve4(name)]);
    const addresses = found.flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
    if (addresses.length > 0) return addresses;
    const codes = found.flatMap((one) =>
      one.status === 'rejected' ? [(one.reason as NodeJS.ErrnoException).code] : [],
    );
    const odd = codes.find((code) => code !== 'ENODATA' && code !== 'ENOTFOUND');
    const why =
      odd !== undefined
        ? `its name servers do not say where it is (${odd})`
        : `it does not exist in the DNS, or has no address (${codes.at(-1)}): it needs an A or AAAA record that points here`;
    throw new AcmeError(`${name}: ${why}`, { type: 'checkFailed' });
  }
}
