import type { Family } from '../../src/dns/answer.ts';
import type { FamilyResult, OpenChannel } from '../../src/dns/channel.ts';

interface OpenQuery {
  /** `server name A` or `server name AAAA`. */
  readonly query: string;
  readonly done: (result: FamilyResult) => void;
}

/** Name servers that reply when the test says so. */
export class FakeServers {
  /** The queries that wait for a reply, in the order in which they were sent. */
  private open: readonly OpenQuery[] = [];

  get asked(): readonly string[] {
    return this.open.map(({ query }) => query);
  }

  readonly openChannel: OpenChannel = (server) => {
    const own = new Set<OpenQuery>();
    return {
      ask: (name: string, family: Family, done: (result: FamilyResult) => void) => {
        const query = { query: `${server} ${name} ${family === 4 ? 'A' : 'AAAA'}`, done };
        own.add(query);
        this.open = [...this.open, query];
      },
      cancel: () => {
        this.open = this.open.filter((query) => !own.has(query));
      },
    };
  };

  /** @param result addresses with a TTL of 10, or the code of a failure. */
  reply(query: string, result: readonly string[] | string, ttlSeconds = 10): void {
    const found = this.open.find((open) => open.query === query);
    if (found === undefined) throw new Error(`nobody asks ${query}, but ${this.asked.join(', ')}`);
    this.open = this.open.filter((open) => open !== found);
    found.done(typeof result === 'string' ? { code: result } : { addresses: result, ttlSeconds });
  }
}
