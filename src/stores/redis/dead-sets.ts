import { backendIdentity } from '../../routing/backend-url.ts';

/** Patterns whose bindings are kept. When there are more, the oldest bindings are dropped. */
const patternsMax = 100_000;

/**
 * Hipache's dead sets name backends by their index in the list. Each index is bound to the backend that it named when
 * it was first seen, and stays bound while it is in the set: an edit of the list does not move it to another backend.
 */
export class DeadSets {
  private readonly bound = new Map<string, ReadonlyMap<number, string>>();

  /**
   * The backends that the set of a pattern names.
   * @param record `[identifier, url, url, …]`.
   * @param members the set, read together with `record`.
   * @param written the backends of indexes that proxies of this version have added.
   */
  resolve(
    pattern: string,
    record: readonly unknown[],
    members: readonly string[],
    written: ReadonlyMap<number, string>,
  ): readonly string[] {
    const old = this.bound.get(pattern);
    this.bound.delete(pattern);
    if (members.length === 0) return [];
    const bound = new Map<number, string>();
    for (const member of members) {
      const index = /^[0-9]{1,6}$/.test(member) ? Number(member) : -1;
      const url = old?.get(index) ?? written.get(index) ?? identityAt(record, index);
      if (url !== null) bound.set(index, url);
    }
    if (bound.size > 0) this.keep(pattern, bound);
    return [...bound.values()];
  }

  /** The backends of the indexes in a set, as they were last seen. */
  boundIn(pattern: string): ReadonlyMap<number, string> {
    return this.bound.get(pattern) ?? none;
  }

  /** Binds indexes that this process is about to add to the set. */
  bind(pattern: string, indexes: readonly number[], url: string): void {
    const bound = new Map(this.bound.get(pattern));
    for (const index of indexes) bound.set(index, url);
    this.bound.delete(pattern);
    this.keep(pattern, bound);
  }

  /** Forgets all bindings: the store may be another one now. */
  clear(): void {
    this.bound.clear();
  }

  private keep(pattern: string, bound: ReadonlyMap<number, string>): void {
    if (this.bound.size >= patternsMax) {
      const [oldest = ''] = this.bound.keys();
      this.bound.delete(oldest);
    }
    this.bound.set(pattern, bound);
  }
}

const none: ReadonlyMap<number, string> = new Map();

function identityAt(record: readonly unknown[], index: number): string | null {
  const url = index < 0 ? undefined : record[index + 1];
  return typeof url === 'string' ? backendIdentity(url) : null;
}
