import type { LookupListener, NameAnswer, NameLookup } from '../../src/dns/answer.ts';

/** Lookups that the test answers. */
export class FakeLookup implements NameLookup {
  /** The names queried, in order; those that were cancelled have a `!` in front. */
  readonly log: string[] = [];
  readonly hosts = new Map<string, readonly string[]>();
  private readonly open = new Map<string, LookupListener>();

  async local(name: string): Promise<NameAnswer | null> {
    const addresses = this.hosts.get(name);
    return addresses === undefined ? null : { addresses, ttlSeconds: 2, source: 'hosts', missing: null };
  }

  query(name: string, listener: LookupListener): () => void {
    if (this.open.has(name)) throw new Error(`${name} is looked up twice at a time`);
    this.log.push(name);
    this.open.set(name, listener);
    return () => {
      this.log.push(`!${name}`);
      this.open.delete(name);
    };
  }

  /** The names that wait for an answer. */
  get asked(): readonly string[] {
    return [...this.open.keys()];
  }

  answer(name: string, addresses: readonly string[], rest: Partial<NameAnswer> = {}): void {
    this.take(name).found({ addresses, ttlSeconds: 10, source: 'dns', missing: null, ...rest });
  }

  fail(name: string, code: string): void {
    this.take(name).failed({ code, message: code });
  }

  private take(name: string): LookupListener {
    const listener = this.open.get(name);
    if (listener === undefined) throw new Error(`${name} is not being looked up`);
    this.open.delete(name);
    return listener;
  }
}
