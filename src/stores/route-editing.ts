import { HipacheError } from '../base/errors.ts';
import type { RouteChange, RouteCollection, RouteOutcome, StoreCapabilities } from './contract.ts';
import { removeFromRecord } from './record-edit.ts';

type RouteEditing = Pick<RouteCollection, 'apply' | 'set' | 'add' | 'remove'>;

/** The editing of routes in a store, all of it by way of one function. @param apply makes at least one change. */
export function editingBy(
  capabilities: () => StoreCapabilities,
  apply: (changes: readonly RouteChange[]) => Promise<readonly RouteOutcome[]>,
): RouteEditing {
  const applyOne = async (change: RouteChange): Promise<RouteOutcome> => {
    const [outcome] = await apply([change]);
    if (outcome === undefined) throw new Error('a change without an outcome');
    return outcome;
  };
  return {
    async apply(changes) {
      if (new Set(changes.map(({ pattern }) => pattern)).size < changes.length)
        throw new Error('a pattern comes twice');
      requireCapable(changes, capabilities());
      return changes.length === 0 ? [] : apply(changes);
    },
    async set(pattern, id, urls) {
      await applyOne({ kind: 'set', pattern, urls, id });
    },
    async add(pattern, urls) {
      await applyOne({ kind: 'add', pattern, urls });
    },
    async remove(pattern, urls) {
      const { before } = await applyOne({ kind: 'remove', pattern, urls });
      return before === null ? null : removeFromRecord(before, urls).removed;
    },
  };
}

/** @throws HipacheError STORE_UNSUPPORTED if the store cannot make the changes in one transaction. */
export function requireCapable(
  changes: readonly RouteChange[],
  { changesPerTransaction: most, expires }: StoreCapabilities,
): void {
  const mortal = expires ? undefined : changes.find(({ ttlSeconds }) => typeof ttlSeconds === 'number');
  if (mortal !== undefined) {
    const problem = `${mortal.pattern}: routes do not expire in this store; remove the route when its time has come`;
    throw new HipacheError('STORE_UNSUPPORTED', `${problem}. Nothing is written`);
  }
  const count = changes.length;
  if (count <= most) return;
  const problem =
    most === 1
      ? `this store has no transactions: ${count} changes cannot be made at once; make them one by one`
      : `a transaction of this store holds ${most} changes, not ${count}; make them in parts`;
  throw new HipacheError('STORE_UNSUPPORTED', `${problem}. Nothing is written`);
}
