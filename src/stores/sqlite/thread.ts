import { parentPort, workerData } from 'node:worker_threads';
import { BackOff } from '../../base/back-off.ts';
import type { HipacheError } from '../../base/errors.ts';
import { SqliteDatabase } from './database.ts';
import { isBusy, storeError } from './errors.ts';
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
 * The thread of a SQLite store: all that can block (locks, fsync, a stalled disk) happens here. Reads are answered as
 * they come. Writes wait in two queues, each written in groups of one transaction; one that meets another process's
 * lock is tried again by a timer, so that reading goes on meanwhile.
 */

/** How often it is looked for changes while someone watches, in ms. */
const pollMs = 10;
/** How often it is checked that the path still names the open file, in polls. */
const checkPolls = 10;
/** Pauses between attempts to open the file again; after the longest without trouble they begin anew. */
const reopenFigures = { firstMs: 200, longestMs: 5000 };
/** How often a file that could only be read is tried again, in polls. */
const improvePolls = 200;
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
  readonly kind: 'routes' | 'marks';
  readonly waiting: Queued[] = [];
  scheduled = false;
  constructor(kind: 'routes' | 'marks') {
    this.kind = kind;
  }
}

if (parentPort === null) throw new Error('this module runs only as a worker thread');
const port = parentPort;
const settings = workerData as ThreadSettings;
const routes = new Queue('routes');
const marks = new Queue('marks');
let outbox: (ThreadEvent | { id: number; reply: ThreadReply })[] = [];
let watching = false;
let lost = false;
let polls = 0;
const reopenPauses = new BackOff(reopenFigures);
let reopenedAt = 0;
/** The poll from which on the file may be opened again. */
let reopenAt = 0;
let timer: NodeJS.Timeout | null = null;
let database: SqliteDatabase;

try {
  database = new SqliteDatabase(settings.path, settings);
  port.on('message', onRequests);
  post({ kind: 'opened' });
} catch (error) {
  post({ kind: 'failed', error: toMessage(error) });
}
flush();

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
      reply(id, { kind: 'routes', rows: database.reader.readRoutes(request.patterns) });
      return;
    case 'listRoutes':
      reply(id, { kind: 'list', rows: database.reader.listRoutes(request.after, request.limit) });
      return;
    case 'readCertificates':
      reply(id, { kind: 'certificates', rows: database.reader.readCertificates(request.patterns) });
      return;
    case 'listCertificates':
      reply(id, { kind: 'patterns', patterns: database.reader.listCertificates(request.after, request.limit) });
      return;
    case 'watch':
      database.changes.start();
      watching = true;
      timer ??= setInterval(poll, pollMs);
      reply(id, { kind: 'done', removed: null });
      return;
    case 'close':
      close(id);
      return;
    case 'writeMark':
    case 'removeMark':
      enqueue(marks, id, request);
      return;
    default:
      enqueue(routes, id, request);
  }
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

/** @returns the writes that met a lock and may wait for it longer. */
function writeGroup(queue: Queue, group: readonly Queued[]): readonly Queued[] {
  if (group.length === 0) return group;
  try {
    const results = database.writer(queue.kind).write(
      group.map((queued) => queued.write),
      Date.now(),
    );
    for (let i = 0; i < group.length; i++) {
      reply((group[i] as Queued).id, { kind: 'done', removed: results[i] ?? null });
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
    // One write that cannot be made must not fail those beside it.
    return group.flatMap((queued) => writeGroup(queue, [queued]));
  }
}

function poll(): void {
  polls++;
  try {
    if (lost || (polls % checkPolls === 0 && !database.inPlace())) reopen();
    else if (database.unwritable !== null && polls % improvePolls === 0) improve();
    else tellChanges();
  } catch (error) {
    if (!isBusy(error)) tellLost(error);
  }
  flush();
}

function tellChanges(): void {
  const changed = database.changes.poll();
  if (changed === 'lost') {
    post({
      kind: 'lost',
      error: { code: 'STORE_UNAVAILABLE', message: `${settings.path}: its log of changes was overrun` },
    });
    post({ kind: 'restored' });
  } else if (changed.size > 0) {
    post({ kind: 'changed', changes: changed });
  }
  if ((polls - reopenedAt) * pollMs > reopenFigures.longestMs) reopenPauses.reset();
}

/**
 * Takes up the file that is at the path now, with growing waits; until there is a good one, the old one goes on
 * answering reads.
 */
function reopen(): void {
  tellLost(database.movedError());
  if (polls < reopenAt) return;
  reopenedAt = polls;
  reopenAt = polls + reopenPauses.next() / pollMs;
  replace(new SqliteDatabase(settings.path, { ...settings, create: false }));
}

/** Where the file could only be read, it may be writable by now. */
function improve(): void {
  const next = new SqliteDatabase(settings.path, { ...settings, create: false });
  if (next.unwritable === null) {
    tellLost(new Error('opened again, to be written'));
    replace(next);
  } else {
    next.close();
  }
}

function replace(next: SqliteDatabase): void {
  database.close();
  database = next;
  database.changes.start();
  lost = false;
  post({ kind: 'restored' });
}

function tellLost(error: unknown): void {
  if (lost) return;
  lost = true;
  post({ kind: 'lost', error: toMessage(error) });
}

function close(id: number): void {
  if (timer !== null) clearInterval(timer);
  for (const queue of [routes, marks]) {
    // What was asked for before is still written, unless another process holds the lock just now.
    const left = writeGroup(queue, queue.waiting.splice(0));
    for (const queued of left) fail(queued.id, new Error('the store was closed'));
  }
  database.close();
  reply(id, { kind: 'done', removed: null });
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
