import { backendIdentity } from '../../routing/backend-url.ts';

/** Patterns whose bindings are kept; past this the oldest are bound anew. */
const patternsMax = 100_000;

/**
 * Hipache's dead sets name backends by their index in the list. An index is bound here to the backend that it named
 * when it was first seen, for as long as it stays in the set: an edit of the list does not make it another one's.
 */
export class DeadSets {
  readonly #bound = new Map<string, ReadonlyMap<number, string>>();

  /**
   * The backends that a pattern's set names.
   * @param members the set, as it was read together with `record`, `[identifier, url, url, …]`.
   */
  resolve(pattern: string, record: readonly unknown[], members: readonly string[]): readonly string[] {
    const old = this.#bound.get(pattern);
    this.#bound.delete(pattern);
    if (members.length === 0) return [];
    const bound = new Map<number, string>();
    for (const member of members) {
      const index = /^[0-9]{1,6}$/.test(member) ? Number(member) : -1;
      const url = old?.get(index) ?? identityAt(record, index);
      if (url !== null) bound.set(index, url);
    }
    if (bound.size > 0) this.#keep(pattern, bound);
    return [...bound.values()];
  }

  /** An index that is about to be put into the set of a pattern, by us. */
  bind(pattern: string, index: number, url: string): void {
    const bound = new Map(this.#bound.get(pattern));
    bound.set(index, url);
    this.#bound.delete(pattern);
    this.#keep(pattern, bound);
  }

  /** What was bound was read from a store that may be another one now. */
  clear(): void {
    this.#bound.clear();
  }

  #keep(pattern: string, bound: ReadonlyMap<number, string>): void {
    if (this.#bound.size >= patternsMax) {
      const [oldest = ''] = this.#bound.keys();
      this.#bound.delete(oldest);
    }
    this.#bound.set(pattern, bound);
  }
}

function identityAt(record: readonly unknown[], index: number): string | null {
  const url = index < 0 ? undefined : record[index + 1];
  return typeof url === 'string' ? backendIdentity(url) : null;
}
