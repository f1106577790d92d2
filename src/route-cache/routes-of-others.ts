import type { Frontend } from '../routing/frontend.ts';
import { CacheEntry, entrySize } from './cache-entry.ts';
import type { CacheTable } from './cache-table.ts';
import type { FrontendBuilder } from './frontend-builder.ts';
import type { SharedRecords } from './shared-records.ts';

/** The part of a cache in the records that the workers of an instance share. */
export class RoutesOfOthers {
  private readonly shared: Pick<SharedRecords, 'fetch' | 'route' | 'routeRead'>;
  private readonly table: CacheTable;
  private readonly builder: FrontendBuilder;

  constructor(shared: RoutesOfOthers['shared'], table: CacheTable, builder: FrontendBuilder) {
    this.shared = shared;
    this.table = table;
    this.builder = builder;
  }

  /** Routes that others know are served from now on, even where the store does not have them. */
  recallAbsent(): void {
    for (const entry of this.table.negative()) {
      if (this.shared.route(entry.pattern) != null) this.table.remove(entry);
    }
  }

  /**
   * Takes entries that are missing here from what other workers know, unverified.
   * @param isAway whether the store is away: a wildcard of which nobody knows options then has none, or no host could be served.
   */
  async recall(patterns: readonly string[], isAway: boolean, nextSequence: () => number): Promise<void> {
    await this.shared.fetch();
    for (const pattern of patterns) {
      const record = this.table.get(pattern) === undefined ? this.shared.route(pattern) : undefined;
      if (record === undefined) {
        if (isAway) this.builder.policies?.presume(pattern);
        continue;
      }
      this.builder.policies?.learn(pattern, record?.options);
      const frontend = this.builder.build(pattern, record, null, nextSequence());
      this.table.put(new CacheEntry(pattern, frontend, entrySize(pattern, frontend), -1));
    }
  }

  /** A host is served by a wildcard only because it has no record of its own: that is worth knowing too. */
  reportAbsences(results: ReadonlyMap<string, Frontend | null>): void {
    for (const [pattern, frontend] of results) {
      // One that has options and no route was reported when it was read.
      if (frontend === null && this.builder.policies?.has(pattern) !== true) this.shared.routeRead(pattern, null);
    }
  }
}
