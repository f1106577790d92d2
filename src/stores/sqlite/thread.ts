import { parentPort, workerData } from 'node:worker_threads';
import { BackOff } from '../../base/back-off.ts';
import type { HipacheError } from '../../base/errors.ts';
import { type Place, SqliteDatabase, stateError } from './database.ts';
import { isBusy, storeError } from './errors.ts';
import { readFileState } from './file-state.ts';
import { emptyError } from './leftovers.ts';
import type {
  ErrorMessage,
  ThreadEvent,
  ThreadReply,
  ThreadRequest,
  ThreadRequests,
  ThreadSettings,
} from './messages.ts';
import type { Write } from './tables.ts';

/*
 * The thread of a SQLite store. Everything that can block (locks, fsync, a stalled disk) happens here. Reads get
 * their results in the order of their requests. Writes wait in two queues and are written in groups, one transaction each. A
 * group that meets the lock of another process is tried again by a timer, so that reading continues meanwhile.
 */

/** Between two checks whether the path still names the open file, in polls. */
const checkPolls = 10;
/** Pauses between attempts to open the file again. After the longest one without trouble they start over. */
const reopenFigures = { firstMs: 200, longestMs: 5000 };
/** Between two equal messages about a loss, in ms. */
const sayEveryMs = 60_000;
/** Between two attempts to open a read-only file for writing, in polls. */
const improvePolls = 200;
/** How late a route that has expired is removed, at most, and when a removal that failed is tried again, in ms. */
const expirySpreadMs = 200;
const expiryAgainMs = 1000;
/** How long a write waits for the lock of another process, in ms. */
const busyMs = 5000;
/** Writes in one transaction at most. */
const groupMax = 256;

interface Queued {
  readonly id: number;
  readonly write: Write;
  readonly deadlineMs: number;
}

class Queue {
  readonly kind: 'records' | 'marks';
  readonly waiting: Queued[] = [];
  scheduled = false;
  constructor(kind: 'records' | 'marks') {
    this.kind = kind;
  }
}

if (parentPort === null) throw new Error('this module runs only as a worker thread');
const port = parentPort;
const settings = workerData as ThreadSettings;
const records = new Queue('records');
const marks = new Queue('marks');
let outbox: (ThreadEvent | { id: number; reply: ThreadReply })[] = [];
let watching = false;
let lost = false;
let polls = 0;
/** When the first of all routes expires, in epoch ms. */
let nextExpiryMs = Number.POSITIVE_INFINITY;
/** Differs between processes, so that not all of them write at once. */
const expiryDelayMs = Math.random() * expirySpreadMs;
const reopenPauses = new BackOff(reopenFigures);
let reopenedAt = 0;
/** The first poll that may open the file again, unless something else is at the path than at the last attempt. */
let reopenAt = 0;
let triedLast = '';
/** Whether the open store has never had a record, or the one that is to be opened may be such a store. */
let wasEmpty = !settings.refuseEmpty;
/** Of a loss: the last message, and when each was last sent, in ms. */
let saidLast = '';
const saidAt = new Map<string, number>();
let timer: NodeJS.Timeout | null = null;
let database: SqliteDatabase | null = null;
/** Why there is no database yet. */
let obstacle: unknown = null;

start();

function start(): void {
  try {
    const isGone = settings.serving && !settings.create && readFileState(settings.path).file === null;
    if (isGone) throw stateError(settings.path, 'gone');
    database = open(settings.create, true);
  } catch (error) {
    if (!settings.serving) {
      post({ kind: 'failed', error: toMessage(error) });
      flush();
      return;
    }
    obstacle = error;
    lost = true;
    timer = setInterval(poll, settings.pollMs);
  }
  port.on('message', onRequests);
  post({ kind: 'opened' });
  flush();
}

/** @throws HipacheError also for a store that has never had a record, in place of one that had. */
function open(create: boolean, patient: boolean): SqliteDatabase {
  const next = new SqliteDatabase(settings.path, { ...settings, create, patient });
  if (wasEmpty || next.changes.hasHadRecords()) return next;
  next.close();
  throw emptyError(settings.path);
}

/** @throws the reason if there is no database yet. */
function current(): SqliteDatabase {
  if (database === null) throw obstacle;
  return database;
}

function onRequests(requests: ThreadRequests): void {
  for (const { id, request } of requests) {
    try {
      onRequest(id, request);
    } catch (error) {
      fail(id, error);
    }
  }
  flush();
}

function onRequest(id: number, request: ThreadRequest): void {
  switch (request.kind) {
    case 'readRoutes':
      reply(id, { kind: 'routes', rows: current().reader.readRoutes(request.patterns) });
      return;
    case 'listRoutes':
      reply(id, { kind: 'list', rows: current().reader.listRoutes(request.after, request.limit) });
      return;
    case 'readCertificates':
      reply(id, { kind: 'certificates', rows: current().reader.readCertificates(request.patterns) });
      return;
    case 'listCertificates':
      reply(id, { kind: 'patterns', patterns: current().reader.listCertificates(request.after, request.limit) });
      return;
    case 'readOptions':
      reply(id, { kind: 'options', rows: current().reader.readOptions(request.patterns) });
      return;
    case 'listOptions':
      reply(id, { kind: 'optionList', rows: current().reader.listOptions(request.after, request.limit) });
      return;
    case 'readFailures':
      reply(id, { kind: 'failures', rows: current().reader.readFailures(request.pattern, Date.now()) });
      return;
    case 'readExpiry':
      reply(id, { kind: 'expiry', expiryMs: current().reader.readExpiry(request.pattern) });
      return;
    case 'readInstances':
      reply(id, { kind: 'instances', rows: current().reader.readInstances(Date.now()) });
      return;
    case 'readRevision':
      reply(id, { kind: 'revision', revision: current().reader.readRevision() });
      return;
    case 'readAccepted':
      reply(id, { kind: 'accepted', text: current().reader.readAccepted() });
      return;
    case 'readDueNotes':
      reply(id, { kind: 'dueNotes', notes: current().reader.readDueNotes(request.atMs, request.limit) });
      return;
    case 'readNote':
      reply(id, { kind: 'note', text: current().reader.readNote(request.name) });
      return;
    case 'watch':
      watch(id);
      return;
    case 'close':
      close(id);
      return;
    case 'writeMark':
    case 'removeMark':
    case 'addFailures':
    case 'writeInstance':
    case 'removeInstance':
    case 'accept':
      enqueue(marks, id, request);
      return;
    default:
      enqueue(records, id, request);
  }
}

function watch(id: number): void {
  watching = true;
  timer ??= setInterval(poll, settings.pollMs);
  if (database === null) sayLost(toMessage(obstacle));
  else startChanges(database);
  reply(id, { kind: 'watching', isLost: database === null });
}

function enqueue(queue: Queue, id: number, write: Write): void {
  queue.waiting.push({ id, write, deadlineMs: performance.now() + busyMs });
  if (queue.scheduled) return;
  queue.scheduled = true;
  setImmediate(writeQueued, queue);
}

function writeQueued(queue: Queue): void {
  queue.scheduled = false;
  const group = queue.waiting.splice(0, groupMax);
  const retry = writeGroup(queue, group);
  if (retry.length > 0) queue.waiting.unshift(...retry);
  if (queue.waiting.length > 0) {
    queue.scheduled = true;
    if (retry.length > 0) setTimeout(writeQueued, 1 + Math.random() * 10, queue);
    else setImmediate(writeQueued, queue);
  }
  if (watching) poll();
  flush();
}

/** @returns the writes that met a lock and may still wait for it. */
function writeGroup(queue: Queue, group: readonly Queued[]): readonly Queued[] {
  if (group.length === 0) return group;
  try {
    const written = current();
    const results = written.writer(queue.kind).write(
      group.map((queued) => queued.write),
      Date.now(),
    );
    written.noteMark();
    // Nobody would serve a record in a file that has just been replaced.
    written.requireInPlace();
    for (let i = 0; i < group.length; i++) {
      reply((group[i] as Queued).id, results[i] as ThreadReply);
    }
    return [];
  } catch (error) {
    if (isBusy(error)) {
      const nowMs = performance.now();
      for (const queued of group) if (queued.deadlineMs <= nowMs) fail(queued.id, error);
      return group.filter((queued) => queued.deadlineMs > nowMs);
    }
    if (group.length === 1) {
      fail((group[0] as Queued).id, error);
      return [];
    }
    // One write that cannot be made must not fail the others of its group.
    return group.flatMap((queued) => writeGroup(queue, [queued]));
  }
}

function poll(): void {
  polls++;
  try {
    if (polls % checkPolls === 0) check();
    else if (!lost && database !== null) reportChanges(database);
  } catch (error) {
    if (database === null) obstacle = error;
    if (!isBusy(error)) reportLost(error);
  }
  flush();
}

function check(): void {
  const place = database === null ? 'unopened' : database.place();
  if (place !== 'in place') reopen(place);
  else if (database !== null && lost) replace(database);
  else if (database !== null) stay(database);
}

/** The file is in place. The sqlite3 shell may have emptied its log, or begun a new round of it. */
function stay(database: SqliteDatabase): void {
  database.markLog();
  if (database.unwritable !== null && polls % improvePolls === 0) improve();
  else reportChanges(database);
}

function reportChanges(database: SqliteDatabase): void {
  if (!watching) return;
  const changed = database.changes.poll();
  if (changed === 'lost' || changed.size > 0) nextExpiryMs = database.reader.nextExpiry();
  removeExpired(database);
  if (changed === 'lost') {
    post({
      kind: 'lost',
      error: { code: 'STORE_UNAVAILABLE', message: `${settings.path}: the log of changes was overrun` },
    });
    post({ kind: 'restored' });
    wasEmpty = !database.changes.hasHadRecords();
    // The content was exchanged through SQLite. The file itself must not be left without the new one.
    database.checkpoint();
  } else if (changed.size > 0) {
    wasEmpty = false;
    post({ kind: 'changed', changes: changed });
  }
  if ((polls - reopenedAt) * settings.pollMs > reopenFigures.longestMs) reopenPauses.reset();
}

/**
 * Opens the file that is at the path now, at once when something changes there, otherwise with growing pauses. Reads use
 * the old file, if there is one, until the new one can be used.
 */
function reopen(place: Exclude<Place, 'in place'> | 'unopened'): void {
  if (!lost && place !== 'unopened') reportLost(stateError(settings.path, place));
  if (place === 'log removed') database?.saveLog();
  const { file, log, index } = readFileState(settings.path);
  const found = `${file} ${log} ${index}`;
  if (found !== triedLast) reopenPauses.reset();
  else if (polls < reopenAt) return;
  triedLast = found;
  reopenedAt = polls;
  reopenAt = polls + reopenPauses.next() / settings.pollMs;
  if (file === null) throw stateError(settings.path, 'gone');
  replace(open(false, false));
}

/** Opens a read-only file for writing, if that has become possible. */
function improve(): void {
  const next = open(false, false);
  if (next.unwritable === null) {
    reportLost(new Error('it is reopened for writing'));
    replace(next);
  } else {
    next.close();
  }
}

function replace(next: SqliteDatabase): void {
  if (next !== database) database?.close();
  database = next;
  startChanges(database);
  lost = false;
  post({ kind: 'restored' });
}

/** Every process that serves looks; the first one to come removes what has expired. */
function removeExpired({ reader }: SqliteDatabase): void {
  const nowMs = Date.now();
  if (nowMs < nextExpiryMs + expiryDelayMs) return;
  nextExpiryMs = reader.nextExpiry();
  if (nowMs < nextExpiryMs) return;
  nextExpiryMs = nowMs + expiryAgainMs;
  // Nobody waits for the reply.
  enqueue(records, 0, { kind: 'removeExpired', pattern: '' });
}

function startChanges({ changes, reader }: SqliteDatabase): void {
  changes.start();
  nextExpiryMs = reader.nextExpiry();
  wasEmpty = !changes.hasHadRecords();
}

/** Says what is wrong, and what to do, once, and again when that becomes something else, at most once a minute each. */
function reportLost(error: unknown): void {
  const message = toMessage(error);
  const nowMs = performance.now();
  const isSaid = nowMs - (saidAt.get(message.message) ?? Number.NEGATIVE_INFINITY) < sayEveryMs;
  if (lost && (isSaid || message.message === saidLast)) return;
  lost = true;
  sayLost(message);
}

function sayLost(message: ErrorMessage): void {
  saidLast = message.message;
  saidAt.set(message.message, performance.now());
  post({ kind: 'lost', error: message });
}

function close(id: number): void {
  if (timer !== null) clearInterval(timer);
  for (const queue of [records, marks]) {
    // Earlier requests are still written, unless another process holds the lock at this moment.
    const left = writeGroup(queue, queue.waiting.splice(0));
    for (const queued of left) fail(queued.id, new Error('the store was closed'));
  }
  database?.close();
  reply(id, { kind: 'closed' });
  flush();
  port.close();
}

function reply(id: number, value: ThreadReply): void {
  outbox.push({ id, reply: value });
}

function fail(id: number, error: unknown): void {
  reply(id, { kind: 'error', error: toMessage(error) });
}

function post(event: ThreadEvent): void {
  outbox.push(event);
}

function flush(): void {
  if (outbox.length === 0) return;
  port.postMessage(outbox);
  outbox = [];
}

function toMessage(error: unknown): ErrorMessage {
  const known: HipacheError = storeError(error, settings.path);
  return { code: known.code, message: known.message };
}
