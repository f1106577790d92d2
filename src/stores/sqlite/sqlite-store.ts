import { Worker } from 'node:worker_threads';
import { BackOff } from '../../base/back-off.ts';
import { HipacheError } from '../../base/errors.ts';
import { entryPoint } from '../../base/package-files.ts';
import type { DownMark } from '../../routing/backend.ts';
import type {
  Acceptance,
  CertificateCollection,
  ChangeListener,
  FailureCollection,
  InstanceCollection,
  MarkCollection,
  NoteCollection,
  OptionCollection,
  RouteCollection,
  Store,
  StoreCapabilities,
  StoredOptions,
  StoredRoute,
} from '../contract.ts';
import { noOptions, optionsOfRoute, toStoredOptions } from '../option-record.ts';
import { editingBy } from '../route-editing.ts';
import type { Changes } from './changes.ts';
import type {
  ErrorMessage,
  ThreadEvent,
  ThreadReplies,
  ThreadReply,
  ThreadRequest,
  ThreadSettings,
} from './messages.ts';
import type { OptionRows } from './option-table.ts';
import { parseArray, type RouteRow } from './tables.ts';

/** Changes that the log keeps: 40 s at 500 changes a second. A watcher further behind has to start over. */
const changesKeptDefault = 20_000;

export interface SqliteStoreOptions {
  /** Whether to create a missing file and its directory. Default true, unless `serving`. */
  readonly create?: boolean | undefined;
  /** Whether the store opens whatever is at the path, and keeps trying; reads fail meanwhile. Default false. */
  readonly serving?: boolean | undefined;
  /** Whether a store that has never had a record is not the one, when `serving`. Default false. */
  readonly refuseEmpty?: boolean | undefined;
  /** Between two polls for changes while the store is watched, in ms. Default 10. */
  readonly pollMs?: number | undefined;
  /** Changes that the log keeps for watchers that fall behind, 1 to 1,000,000. Default 20,000. */
  readonly changesKept?: number;
  /** Memory of the store's thread, in MiB. Default 256. A thread that needs more ends and is replaced. */
  readonly threadMemoryMib?: number;
}

const threadMemoryMibDefault = 256;
/** Pauses before a thread that ended is replaced. */
const pollMsDefault = 10;
const restartPauses = { firstMs: 500, longestMs: 30_000 };

interface Pending {
  resolve(reply: ThreadReply): void;
  reject(error: Error): void;
}

/** Opens the store in the file at `path`. @throws HipacheError with source `store`, unless `serving`. */
export async function openSqlite(path: string, options: SqliteStoreOptions = {}): Promise<Store> {
  const store = new SqliteStore({
    path,
    create: options.create ?? options.serving !== true,
    serving: options.serving ?? false,
    refuseEmpty: options.refuseEmpty ?? false,
    pollMs: options.pollMs ?? pollMsDefault,
    changesKept: options.changesKept ?? changesKeptDefault,
    threadMemoryMib: options.threadMemoryMib ?? threadMemoryMibDefault,
  });
  await store.opened;
  return store;
}

/**
 * Routes, marks and certificates in a SQLite file, which any number of processes can read and write. This side only
 * exchanges messages with the thread (`thread.ts`) that has the connections; all requests of one turn of the event loop
 * go into one message. A thread that ends by itself is replaced; listeners hear `lost` and then `restored`.
 */
class SqliteStore implements Store {
  readonly capabilities: StoreCapabilities = { changes: 'poll', changesPerTransaction: 10_000, expires: true };
  readonly routes: RouteCollection = {
    read: async (patterns) => {
      const reply = await this.ask({ kind: 'readRoutes', patterns });
      return reply.kind === 'routes' ? reply.rows.map(toStoredRoute) : [];
    },
    ...editingBy(
      () => this.capabilities,
      async (changes) => {
        const reply = await this.ask({ kind: 'changeRoutes', changes });
        return reply.kind === 'outcomes' ? reply.outcomes : [];
      },
    ),
    put: async (records) => {
      await Promise.all(
        records.map(({ pattern, frontend }) => this.done({ kind: 'putRoute', pattern, record: frontend })),
      );
    },
    expiry: async (pattern) => {
      const reply = await this.ask({ kind: 'readExpiry', pattern });
      return reply.kind === 'expiry' ? reply.expiryMs : null;
    },
    list: async (after, limit) => {
      const reply = await this.ask({ kind: 'listRoutes', after, limit });
      if (reply.kind !== 'list') return [];
      return reply.rows.map(({ pattern, record }) => ({ pattern, frontend: parseArray(record) ?? [record] }));
    },
  };
  readonly options: OptionCollection = {
    read: async (patterns) => {
      const reply = await this.ask({ kind: 'readOptions', patterns });
      return reply.kind === 'options' ? reply.rows.map(toOptions) : [];
    },
    change: async (pattern, changes) => {
      const reply = await this.ask({ kind: 'changeOptions', pattern, changes });
      return reply.kind === 'optionOutcome' ? reply.outcome : { before: noOptions, after: noOptions };
    },
    put: async (records) => {
      await Promise.all(records.map(({ pattern, options }) => this.done({ kind: 'putOptions', pattern, options })));
    },
    list: async (after, limit) => {
      const reply = await this.ask({ kind: 'listOptions', after, limit });
      if (reply.kind !== 'optionList') return [];
      return reply.rows.map(({ pattern, options }) => ({ pattern, options: new Map(options) }));
    },
  };
  readonly marks: MarkCollection = {
    write: async (pattern, url, mark) => {
      await this.done({ kind: 'writeMark', pattern, url, mark });
      return true;
    },
    remove: (pattern, url) => this.done({ kind: 'removeMark', pattern, url }),
  };
  readonly certificates: CertificateCollection = {
    read: async (patterns) => {
      const reply = await this.ask({ kind: 'readCertificates', patterns });
      return reply.kind === 'certificates' ? reply.rows : [];
    },
    write: (pattern, { certificate, key }) =>
      this.done({ kind: 'writeCertificate', pattern, pair: { certificate, key } }),
    remove: async (pattern) => {
      const reply = await this.ask({ kind: 'removeCertificate', pattern });
      return reply.kind === 'done' && reply.isRemoved;
    },
    list: async (after, limit) => {
      const reply = await this.ask({ kind: 'listCertificates', after, limit });
      return reply.kind === 'patterns' ? reply.patterns : [];
    },
  };
  readonly failures: FailureCollection = {
    add: (pattern, failures) => this.done({ kind: 'addFailures', pattern, failures }),
    read: async (pattern) => {
      const reply = await this.ask({ kind: 'readFailures', pattern });
      return new Map(reply.kind === 'failures' ? reply.rows : []);
    },
  };
  readonly instances: InstanceCollection = {
    revision: async () => {
      const reply = await this.ask({ kind: 'readRevision' });
      return reply.kind === 'revision' ? reply.revision : 0;
    },
    write: (instance, fields, ttlMs) =>
      this.done({
        kind: 'writeInstance',
        pattern: instance,
        fields: JSON.stringify(fields),
        untilMs: Date.now() + ttlMs,
      }),
    remove: (instance) => this.done({ kind: 'removeInstance', pattern: instance }),
    list: async () => {
      const reply = await this.ask({ kind: 'readInstances' });
      return reply.kind === 'instances' ? reply.rows : [];
    },
  };
  readonly acceptance: Acceptance = {
    read: async () => {
      const reply = await this.ask({ kind: 'readAccepted' });
      return reply.kind === 'accepted' ? reply.text : null;
    },
    write: (text) => this.done({ kind: 'accept', pattern: '', text }),
  };
  readonly notes: NoteCollection = {
    read: async (name) => {
      const reply = await this.ask({ kind: 'readNote', name });
      return reply.kind === 'note' ? reply.text : null;
    },
    write: async (name, text, condition = {}) => {
      const reply = await this.ask({ kind: 'writeNote', pattern: name, text, condition });
      return reply.kind === 'isWritten' && reply.isWritten;
    },
    due: async (atMs, limit) => {
      const reply = await this.ask({ kind: 'readDueNotes', atMs, limit });
      return reply.kind === 'dueNotes' ? reply.notes : [];
    },
  };
  readonly opened: Promise<void>;
  private readonly settings: ThreadSettings;
  private thread: Worker;
  private readonly pending = new Map<number, Pending>();
  private outbox: { id: number; request: ThreadRequest }[] = [];
  private nextId = 1;
  private listener: ChangeListener | null = null;
  private ended: Error | null = null;
  private closing: Promise<void> | null = null;
  private wasOpened = false;
  private restartTimer: NodeJS.Timeout | null = null;
  private readonly restartPauses = new BackOff(restartPauses);
  private readonly settleOpened: { resolve(): void; reject(error: Error): void };

  constructor(settings: ThreadSettings) {
    this.settings = settings;
    const opened = Promise.withResolvers<void>();
    this.opened = opened.promise;
    this.settleOpened = opened;
    this.thread = this.startThread(settings);
  }

  async watch(listener: ChangeListener): Promise<void> {
    this.listener = listener;
    await this.ask({ kind: 'watch' });
  }

  close(): Promise<void> {
    this.closing ??= this.closeThread();
    return this.closing;
  }

  private async closeThread(): Promise<void> {
    this.listener = null;
    if (this.restartTimer !== null) clearTimeout(this.restartTimer);
    if (this.ended === null) {
      const closed = this.send({ kind: 'close' }).catch(ignore);
      this.ended = this.unavailable('the store was closed');
      await closed;
    }
    await this.thread.terminate();
  }

  private startThread(settings: ThreadSettings): Worker {
    const thread = new Worker(entryPoint('stores/sqlite/thread'), {
      workerData: settings,
      execArgv: [],
      name: 'hipache-sqlite',
      resourceLimits: { maxOldGenerationSizeMb: settings.threadMemoryMib },
    });
    const end = (error: Error): void => {
      if (thread === this.thread) this.end(error);
    };
    thread.on('message', (replies: ThreadReplies) => this.onReplies(replies));
    thread.on('error', end);
    thread.on('exit', () => end(new Error('its thread ended')));
    return thread;
  }

  private async done(request: ThreadRequest): Promise<void> {
    await this.ask(request);
  }

  private ask(request: ThreadRequest): Promise<ThreadReply> {
    return this.ended === null ? this.send(request) : Promise.reject(this.ended);
  }

  private send(request: ThreadRequest): Promise<ThreadReply> {
    const { promise, resolve, reject } = Promise.withResolvers<ThreadReply>();
    const id = this.nextId++;
    this.pending.set(id, { resolve, reject });
    if (this.outbox.push({ id, request }) === 1) queueMicrotask(() => this.flush());
    return promise;
  }

  private flush(): void {
    this.thread.postMessage(this.outbox);
    this.outbox = [];
  }

  private onReplies(replies: ThreadReplies): void {
    for (const reply of replies) {
      if ('reply' in reply) this.onReply(reply.id, reply.reply);
      else this.onEvent(reply);
    }
  }

  private onReply(id: number, reply: ThreadReply): void {
    const pending = this.pending.get(id);
    if (pending === undefined) return;
    this.pending.delete(id);
    if (reply.kind === 'error') pending.reject(toError(reply.error));
    else pending.resolve(reply);
  }

  private onEvent(event: ThreadEvent): void {
    switch (event.kind) {
      case 'opened':
        this.onOpened();
        return;
      case 'failed':
        this.end(toError(event.error));
        return;
      case 'changed':
        this.onChanged(event.changes);
        return;
      case 'lost':
        this.listener?.lost(toError(event.error));
        return;
      case 'restored':
        this.listener?.restored();
    }
  }

  private onChanged(changes: Changes): void {
    for (const [collection, keys] of changes) this.listener?.changed(collection, [...keys]);
    this.listener?.revised?.();
  }

  private onOpened(): void {
    const isReplacement = this.wasOpened;
    this.wasOpened = true;
    this.settleOpened.resolve();
    if (!isReplacement) return;
    this.ended = null;
    this.restartPauses.reset();
    if (this.listener === null) return;
    this.ask({ kind: 'watch' }).then(
      (reply) => {
        // Otherwise the thread has said why, and says when that is over.
        if (reply.kind === 'watching' && !reply.isLost) this.listener?.restored();
      },
      (error: Error) => this.end(error),
    );
  }

  /** The thread has ended or has no database. Requests fail until another thread has opened it. */
  private end(cause: Error): void {
    const error = cause instanceof HipacheError ? cause : this.unavailable(cause.message, cause);
    if (this.ended === null) {
      this.ended = error;
      this.settleOpened.reject(error);
      this.listener?.lost(error);
    }
    if (this.wasOpened && this.closing === null) this.restartLater();
    const pending = [...this.pending.values()];
    this.pending.clear();
    for (const { reject } of pending) reject(this.ended);
  }

  private restartLater(): void {
    if (this.restartTimer !== null) return;
    this.restartTimer = setTimeout(() => {
      this.restartTimer = null;
      void this.thread.terminate();
      this.thread = this.startThread({ ...this.settings, create: false });
    }, this.restartPauses.next());
  }

  private unavailable(problem: string, cause?: Error): HipacheError {
    return new HipacheError('STORE_UNAVAILABLE', `${this.settings.path}: ${problem}`, { cause });
  }
}

function toStoredRoute(row: RouteRow | null): StoredRoute | null {
  if (row === null) return null;
  const down = row.marks === null ? noMarks : new Map<string, DownMark>();
  for (const [url, untilMs, sinceMs, reason, instance] of row.marks ?? []) {
    (down as Map<string, DownMark>).set(url, { untilMs, sinceMs, reason, instance });
  }
  const stored = toOptions(row.options);
  const diagnostics = stored === null || stored.problems.length === 0 ? {} : { diagnostics: stored.problems };
  const rest = { down, ...optionsOfRoute(stored), ...diagnostics };
  if (row.record === null) return { frontend: [], ...rest };
  const frontend = parseArray(row.record);
  if (frontend !== null) return { frontend, ...rest };
  return { frontend: [null], ...rest, problem: 'the record is not a JSON array' };
}

function toOptions(rows: OptionRows | null): StoredOptions | null {
  return rows === null ? null : toStoredOptions(rows, 'the record');
}

function toError(error: ErrorMessage): HipacheError {
  return new HipacheError(error.code, error.message);
}

function ignore(): void {}

const noMarks: ReadonlyMap<string, DownMark> = new Map();
