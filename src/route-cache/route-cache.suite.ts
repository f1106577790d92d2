import { setImmediate as immediate } from 'node:timers/promises';
import { FakeTime } from '../../test/helpers/fake-time.ts';
import type { DownMark } from '../routing/backend.ts';
import type { Frontend } from '../routing/frontend.ts';
import type { ChangeListener, OptionTexts, StoredRoute } from '../stores/contract.ts';
import { RouteCache } from './route-cache.ts';
import type { RouteCacheOptions } from './route-cache-options.ts';
import { StoreWatch } from './store-watch.ts';

export interface Read {
  readonly patterns: readonly string[];
  /** Takes the store's present answer, and delivers it. */
  answer(): void;
  /** Takes the store's present answer; the returned function delivers it. */
  take(): () => void;
  fail(error: Error): void;
}

interface MarkWrite {
  readonly pattern: string;
  readonly url: string;
  readonly mark: DownMark;
  done(): void;
  /** The store does not keep it. */
  reported(): void;
  fail(error: Error): void;
}

/** A store that answers when the test says so. */
export class FakeStore {
  readonly capabilities = { changes: 'push' } as const;
  readonly whyUnchanged = 'another program writes the same again';
  readonly records = new Map<string, readonly unknown[]>();
  readonly down = new Map<string, Map<string, DownMark>>();
  readonly options = new Map<string, OptionTexts>();
  readonly reads: Read[] = [];
  readonly markWrites: MarkWrite[] = [];
  readonly routes = { read: (patterns: readonly string[]) => this.read(patterns) };
  readonly marks = {
    write: (pattern: string, url: string, mark: DownMark): Promise<boolean> =>
      new Promise((resolve, reject) => {
        const [done, reported] = [() => resolve(true), () => resolve(false)];
        this.markWrites.push({ pattern, url, mark, done, reported, fail: reject });
      }),
  };
  listener: ChangeListener | null = null;
  /** Whether it answers by itself, in the same turn. */
  prompt = false;

  private read(patterns: readonly string[]): Promise<readonly (StoredRoute | null)[]> {
    if (this.prompt) return Promise.resolve(this.snapshot(patterns));
    const { promise, resolve, reject } = Promise.withResolvers<readonly (StoredRoute | null)[]>();
    const done = () => void this.reads.splice(this.reads.indexOf(read), 1);
    const take = () => {
      const snapshot = this.snapshot(patterns);
      return () => {
        done();
        resolve(snapshot);
      };
    };
    const read: Read = {
      patterns,
      take,
      answer: () => take()(),
      fail: (error) => {
        done();
        reject(error);
      },
    };
    this.reads.push(read);
    return promise;
  }

  async watch(listener: ChangeListener): Promise<void> {
    this.listener = listener;
  }

  /** Changes a record and reports that at once. */
  change(pattern: string, record: readonly unknown[] | null): void {
    if (record === null) this.records.delete(pattern);
    else this.records.set(pattern, record);
    this.listener?.changed('routes', [pattern]);
  }

  /** Changes options and reports that at once; null removes all of them. */
  changeOptions(pattern: string, options: Readonly<Record<string, string>> | null): void {
    if (options === null) this.options.delete(pattern);
    else this.options.set(pattern, new Map(Object.entries(options)));
    this.listener?.changed('options', [pattern]);
  }

  private snapshot(patterns: readonly string[]): (StoredRoute | null)[] {
    return patterns.map((pattern) => {
      const frontend = this.records.get(pattern);
      const options = this.options.get(pattern);
      if (frontend === undefined && options === undefined) return null;
      const record = { frontend: frontend ?? [], down: new Map(this.down.get(pattern)) };
      return options === undefined ? record : { ...record, options };
    });
  }
}

export async function setUp(options: Partial<RouteCacheOptions> = {}) {
  const store = new FakeStore();
  const time = new FakeTime();
  const cache = new RouteCache({ store, instance: 'test', clock: time.clock, setTimer: time.setTimer, ...options });
  const watch = new StoreWatch({ store, clock: time.clock, setTimer: time.setTimer });
  watch.add(cache);
  await watch.start();
  return { store, time, cache };
}

/** The store has been asked what was wanted before this call: requests of one turn of the event loop are read together. */
export async function turn(): Promise<void> {
  for (let i = 0; i < 3; i++) await immediate();
}

/** Loads `host` into memory. */
export async function warm(store: FakeStore, cache: RouteCache, host: string): Promise<Frontend | null> {
  store.prompt = true;
  const frontend = await cache.load(host);
  store.prompt = false;
  return frontend;
}

export const idOf = (frontend: Frontend | null | undefined) => (frontend ? frontend.id : frontend);
