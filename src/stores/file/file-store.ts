import { type FSWatcher, watch } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { CoalescedTask } from '../../base/coalesced-task.ts';
import { HipacheError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
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
import { isRecent } from '../failures.ts';
import { keyValueAcceptance } from '../key-value/acceptance.ts';
import { type KeyValueEdit, recordKey } from '../key-value/client.ts';
import {
  addFailuresEdit,
  changeEdit,
  changeOptionsEdit,
  composeEdits,
  putEdit,
  putOptionsEdit,
  removeCertificateEdit,
  removeMarkEdit,
  writeMarkEdit,
} from '../key-value/edits.ts';
import { keyValueNotes } from '../key-value/notes.ts';
import { readFailures, readMarks } from '../key-value/records.ts';
import { noOptions, optionsOfRoute, routeOfOptions } from '../option-record.ts';
import { editingBy } from '../route-editing.ts';
import { CertificateFiles } from './certificate-files.ts';
import { emptyContent, type FileContent, type FileRoute, pageOf } from './content.ts';
import { FileClient, partsOf } from './file-client.ts';
import type { FilePlace } from './file-url.ts';
import { FileMarks } from './marks.ts';
import { RoutesSource } from './source.ts';

/** Between two looks at the routes file while it is watched, in ms. The system usually reports a change at once. */
const lookEveryMs = 100;
/** How long a reading waits for a change that is under way, in ms. */
const lookWaitMs = 50;
/** Between two looks at the marks of other processes, in ms. */
const marksEveryMs = 50;
/** Between two looks at the files of certificates, in ms. */
const certificatesEveryMs = 1000;

export interface FileStoreOptions {
  /** Whether a missing file is one without records, which the first edit writes. Default true, unless `serving`. */
  readonly create?: boolean | undefined;
  /** Whether the store opens whatever is at the path; reads fail until it can be used. Default false. */
  readonly serving?: boolean | undefined;
  readonly log?: Pick<Log, 'info' | 'warn'> | undefined;
}

/** Opens the store in a routes file. @throws HipacheError with source `store`, unless `serving`. */
export async function openFileStore(place: FilePlace, options: FileStoreOptions = {}): Promise<Store> {
  const store = new FileStore(place, options);
  await store.refresh();
  if (options.serving === true || store.problem === null) return store;
  await store.close();
  throw store.problem;
}

/** Routes and certificates in a file that people edit. Dead marks, failures and notes are in a file of their own. */
class FileStore implements Store {
  readonly capabilities: StoreCapabilities = { changes: 'poll', changesPerTransaction: 10_000, expires: false };
  readonly routes: RouteCollection = {
    read: async (patterns) => {
      const { routes, options } = await this.current();
      const marks = await this.marksBeside.read(patterns.map((pattern) => recordKey('down', pattern)));
      this.check();
      return patterns.map((pattern, i) =>
        toStoredRoute(routes.get(pattern), options.get(pattern) ?? null, marks[i] ?? null),
      );
    },
    ...editingBy(
      () => this.capabilities,
      (changes) => this.edit(composeEdits(changes.map(changeEdit))),
    ),
    put: async (records) => {
      if (records.length > 0) await this.edit(putEdit(records));
    },
    expiry: async () => null,
    list: async (after, limit) => {
      const { routes } = await this.current();
      const patterns = pageOf(routes, after, limit);
      return patterns.map((pattern) => ({ pattern, frontend: routes.get(pattern)?.record ?? [null] }));
    },
  };
  readonly options: OptionCollection = {
    read: async (patterns) => {
      const { options } = await this.current();
      return patterns.map((pattern) => options.get(pattern) ?? null);
    },
    change: (pattern, changes) => this.edit(changeOptionsEdit(pattern, changes)),
    put: async (records) => {
      if (records.length > 0) await this.edit(putOptionsEdit(records));
    },
    list: async (after, limit) => {
      const { options } = await this.current();
      const patterns = pageOf(options, after, limit);
      return patterns.map((pattern) => ({ pattern, options: options.get(pattern)?.options ?? noOptions }));
    },
  };
  readonly marks: MarkCollection = {
    write: async (pattern, url, mark) => {
      await this.editBeside(writeMarkEdit(pattern, url, mark));
      return true;
    },
    remove: (pattern, url) => this.editBeside(removeMarkEdit(pattern, url)),
  };
  readonly failures: FailureCollection = {
    add: (pattern, failures) => this.editBeside(addFailuresEdit(pattern, failures, Date.now())),
    read: async (pattern) => {
      this.check();
      const [text = null] = await this.marksBeside.read([recordKey('hipache:failed', pattern)]);
      const nowMs = Date.now();
      return new Map([...readFailures(text)].filter(([, failures]) => isRecent(failures, nowMs)));
    },
  };
  readonly certificates: CertificateCollection = {
    read: async (patterns) => {
      const { certificates } = await this.current();
      return Promise.all(patterns.map((pattern) => this.files.read(pattern, certificates.get(pattern))));
    },
    write: async (pattern) => {
      this.check();
      throw new HipacheError(
        'STORE_UNSUPPORTED',
        `${this.place.path} holds no keys: put certificate and key in files that only the proxy can read, and name them ` +
          `in the routes file, below "certificates": ${pattern}: {certificate: PATH, key: PATH}`,
      );
    },
    remove: (pattern) => this.edit(removeCertificateEdit(pattern)),
    list: async (after, limit) => pageOf((await this.current()).certificates, after, limit),
  };
  readonly instances: InstanceCollection | null = null;
  readonly acceptance: Acceptance;
  readonly notes: NoteCollection = keyValueNotes({ run: (edit) => this.editBeside(edit) }, true);
  private readonly place: FilePlace;
  private readonly marksBeside: FileMarks;
  private readonly source: RoutesSource;
  private readonly files: CertificateFiles;
  private readonly client: FileClient;
  private listener: ChangeListener | null = null;
  private watcher: FSWatcher | null = null;
  private readonly timers: NodeJS.Timeout[] = [];
  private isClosed = false;

  constructor(place: FilePlace, { create, serving = false, log = silent }: FileStoreOptions) {
    const { path, format, marksPath } = place;
    this.place = place;
    this.marksBeside = new FileMarks(marksPath, log);
    this.acceptance = keyValueAcceptance(this.marksBeside);
    this.files = new CertificateFiles(path);
    this.source = new RoutesSource({
      path,
      format,
      create: create ?? !serving,
      log,
      changed: (changes) => {
        for (const [section, patterns] of changes) this.listener?.changed(section, patterns);
      },
      opened: () => this.listener?.restored(),
    });
    this.client = new FileClient(path, format, this.source, this.marksBeside);
  }

  /** Why there are no records to serve; null if there are. */
  get problem(): HipacheError | null {
    const { content, error } = this.source;
    if (content !== null) return null;
    return error ?? new HipacheError('STORE_UNAVAILABLE', `${this.place.path} is being written all the time`);
  }

  /** Resolves once the file in its present state is read or refused. */
  refresh(): Promise<void> {
    return this.source.refresh();
  }

  async watch(listener: ChangeListener): Promise<void> {
    await this.source.refresh();
    this.check();
    this.marksBeside.changes();
    this.listener = listener;
    if (this.timers.length === 0) this.startLooking();
    if (this.problem !== null) listener.lost(this.problem);
  }

  async close(): Promise<void> {
    this.isClosed = true;
    this.listener = null;
    this.watcher?.close();
    for (const timer of this.timers.splice(0)) clearInterval(timer);
    this.marksBeside.close();
    await this.source.close();
  }

  /** The watcher reports changes in the directory at once; the timer finds those that it cannot see. */
  private startLooking(): void {
    const every = (ms: number, action: () => void): void => {
      this.timers.push(setInterval(action, ms));
    };
    every(lookEveryMs, () => void this.source.refresh());
    every(marksEveryMs, () => this.lookAtMarks());
    const certificates = new CoalescedTask(() => this.lookAtCertificates());
    every(certificatesEveryMs, () => void certificates.request());
    try {
      this.watcher = watch(dirname(this.place.path), () => {
        void this.source.refresh();
        void certificates.request();
      });
      this.watcher.on('error', ignore);
    } catch {
      // The directory does not exist, or the system has no watch left: the timer is enough.
    }
  }

  private lookAtMarks(): void {
    const keys = this.marksBeside.changes().map(partsOf);
    const patterns = keys.filter(({ kind }) => kind === 'down').map(({ pattern }) => pattern);
    if (patterns.length > 0) this.listener?.changed('routes', patterns);
  }

  private async lookAtCertificates(): Promise<void> {
    const patterns = await this.files.changed(this.source.content?.certificates ?? new Map());
    if (patterns.length > 0) this.listener?.changed('certificates', patterns);
  }

  /** The content to read from. A finished change counts; a watched store does not wait long for one under way. */
  private async current(): Promise<FileContent> {
    this.check();
    const refreshed = this.source.refresh();
    await (this.listener === null
      ? refreshed
      : Promise.race([refreshed, delay(lookWaitMs, undefined, { ref: false })]));
    this.check();
    const { problem } = this;
    if (problem !== null) throw problem;
    return this.source.content ?? emptyContent;
  }

  private async edit<Result>(edit: KeyValueEdit<Result>): Promise<Result> {
    this.check();
    const result = await this.client.run(edit);
    if (this.listener !== null) this.lookAtMarks();
    return result;
  }

  private async editBeside<Result>(edit: KeyValueEdit<Result>): Promise<Result> {
    this.check();
    const result = await this.marksBeside.run(edit);
    if (this.listener !== null) this.lookAtMarks();
    return result;
  }

  private check(): void {
    if (this.isClosed) throw new HipacheError('STORE_UNAVAILABLE', `${this.place.path}: the store was closed`);
  }
}

function toStoredRoute(
  route: FileRoute | undefined,
  options: StoredOptions | null,
  marks: string | null,
): StoredRoute | null {
  if (route === undefined) return routeOfOptions(options);
  const { record, problem } = route;
  const diagnostics = [...route.diagnostics, ...(options?.problems ?? [])];
  const down = readMarks(marks) ?? new Map<string, DownMark>();
  const rest = { down, diagnostics, ...optionsOfRoute(options) };
  return record !== null ? { frontend: record, ...rest } : { frontend: [null], ...rest, problem: problem ?? '' };
}

function ignore(): void {}

const silent: Pick<Log, 'info' | 'warn'> = { info: ignore, warn: ignore };
