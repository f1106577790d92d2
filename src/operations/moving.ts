import { HipacheError } from '../base/errors.ts';
import { shownBackend } from '../base/shown-url.ts';
import { parseRoutePattern } from '../routing/patterns.ts';
import { type CertificatePair, hasRoute, type OptionRecord, type RouteRecord, type Store } from '../stores/contract.ts';
import { isSameOptions, readOptionObject } from '../stores/option-record.ts';
import { routesPerPage } from './route-search.ts';

/** The parts of a store that are moved. */
type Movable = Pick<Store, 'routes' | 'options' | 'certificates'>;

/** One record on its way from one store to another: one line of a file. */
export type MovedRecord =
  | ({ readonly kind: 'route' } & RouteRecord)
  | ({ readonly kind: 'options' } & OptionRecord)
  | ({ readonly kind: 'certificate'; readonly pattern: string } & CertificatePair);

export interface ExportOptions {
  /** Whether certificates with their private keys follow the routes. */
  readonly certificates: boolean;
  /** Only routes whose patterns follow this one, to resume; empty for all. */
  readonly after: string;
}

/** The effects of records that were moved. */
export interface MoveCounts {
  routes: number;
  /** Patterns with options. */
  options: number;
  certificates: number;
  created: number;
  replaced: number;
  same: number;
  skipped: number;
}

/** The effect of one record on the store that it is written to. */
export interface MoveChange {
  readonly pattern: string;
  readonly kind: MovedRecord['kind'];
  readonly action: 'created' | 'replaced' | 'skipped';
  /** For `skipped`, the reason; for a replaced route, the backends before and after. */
  readonly detail: string;
}

export interface ImportOptions {
  /** Whether nothing is written. */
  readonly dryRun: boolean;
  readonly onChange: (change: MoveChange) => void;
}

/** Patterns whose options are read at once. */
const optionPage = 1000;
/** Certificates that are read at once. */
const certificatePage = 100;

/** What is left to export: the kind of the next records, and the pattern that they follow. */
type ExportCursor = `${'options' | 'route' | 'certificate'}:${string}`;

/**
 * Records of a store: options, then routes, then certificates, each in code point order of their patterns. Options come
 * first, so that no host is served without them, such as the rules that say who may see it.
 * @param cursor `next` of the page before; null for the first.
 * @throws HipacheError COMMAND_INVALID for a cursor that is none.
 */
export async function pageOfRecords(
  { routes, options: optionsOfHosts, certificates }: Movable,
  options: ExportOptions,
  cursor: string | null,
): Promise<{ records: readonly MovedRecord[]; next: string | null }> {
  const [, kind, after = ''] = /^(options|route|certificate):(.*)$/s.exec(cursor ?? 'options:') ?? [];
  switch (kind) {
    case 'options': {
      const page = await optionsOfHosts.list(after, optionPage);
      const records = page.map(({ pattern, options: texts }) => ({
        kind: 'options' as const,
        pattern,
        options: texts,
      }));
      return { records, next: following('options', records) ?? (`route:${options.after}` satisfies ExportCursor) };
    }
    case 'route': {
      const page = await routes.list(after, routesPerPage);
      const records = page.map(({ pattern, frontend }) => ({ kind: 'route' as const, pattern, frontend }));
      return { records, next: following('route', records) ?? (options.certificates ? 'certificate:' : null) };
    }
    case 'certificate': {
      const patterns = await certificates.list(after, certificatePage);
      const found = await certificates.read(patterns);
      const records = patterns.flatMap((pattern, i) => {
        const pair = found[i];
        if (pair === null || pair === undefined || pair.problem !== undefined) return [];
        return [{ kind: 'certificate' as const, pattern, certificate: pair.certificate, key: pair.key }];
      });
      return { records, next: patterns.length === 0 ? null : `certificate:${patterns.at(-1)}` };
    }
    default:
      throw new HipacheError('COMMAND_INVALID', 'the cursor is not "next" of another page');
  }
}

function following(kind: MovedRecord['kind'], records: readonly MovedRecord[]): ExportCursor | null {
  const last = records.at(-1);
  return last === undefined ? null : `${kind}:${last.pattern}`;
}

/** A record as it is exported: an object with one member, which says what it is. */
export type WrittenRecord = Record<string, unknown>;

export function toWritten(record: MovedRecord): WrittenRecord {
  const { kind, ...rest } = record;
  return { [kind]: record.kind === 'options' ? { ...rest, options: Object.fromEntries(record.options) } : rest };
}

/**
 * Reads an exported record. A route may also be written as `{"route": {"pattern": …, "id": …, "backends": […]}}`.
 * @param number of its line, from 1.
 * @throws HipacheError COMMAND_INVALID with the number of the line.
 */
export function parseRecord(value: WrittenRecord, number: number): MovedRecord {
  const { route, options, certificate } = value as { route?: unknown; options?: unknown; certificate?: unknown };
  const isRoute = typeof route === 'object' && route !== null;
  const body = isRoute ? route : (options ?? certificate);
  if (typeof body !== 'object' || body === null) {
    throw invalidLine(number, 'it is none of {"route": {…}}, {"options": {…}} and {"certificate": {…}}');
  }
  const { pattern: given, frontend, id, backends, certificate: pem, key } = body as Record<string, unknown>;
  const pattern = patternOf(given, number);
  if (body === options) return { kind: 'options', pattern, options: optionsOf(body, number) };
  if (!isRoute) {
    if (typeof pem === 'string' && typeof key === 'string') {
      return { kind: 'certificate', pattern, certificate: pem, key };
    }
    throw invalidLine(number, 'a certificate needs the texts "certificate" and "key"');
  }
  if (Array.isArray(frontend) && frontend.length > 0) return { kind: 'route', pattern, frontend };
  if (Array.isArray(backends) && (id === undefined || typeof id === 'string')) {
    return { kind: 'route', pattern, frontend: [id ?? pattern, ...backends] };
  }
  throw invalidLine(number, 'a route needs the array "frontend", or "backends"');
}

/**
 * Writes records into a store, in the order in which they come. Records that the store has already are left alone, so
 * that it may be repeated.
 */
export async function importRecords(
  store: Movable,
  records: readonly MovedRecord[],
  options: ImportOptions,
): Promise<MoveCounts> {
  const counts: MoveCounts = { routes: 0, options: 0, certificates: 0, created: 0, replaced: 0, same: 0, skipped: 0 };
  const routes = records.filter((record) => record.kind === 'route');
  const certificates = records.filter((record) => record.kind === 'certificate');
  const ofHosts = records.filter((record) => record.kind === 'options');
  await importOptions(store, ofHosts, counts, options);
  await importRoutes(store, routes, counts, options);
  for (const record of certificates) await importCertificate(store, record, counts, options);
  return counts;
}

async function importOptions(
  { options }: Movable,
  records: readonly OptionRecord[],
  counts: MoveCounts,
  { dryRun, onChange }: ImportOptions,
): Promise<void> {
  const wanted = [...new Map(records.map((record) => [record.pattern, record])).values()];
  const present = wanted.length === 0 ? [] : await options.read(wanted.map(({ pattern }) => pattern));
  const changed = wanted.filter((record, i) => {
    const before = present[i] ?? null;
    counts.options++;
    if (before?.problems.length === 0 && isSameOptions(before.options, record.options)) {
      counts.same++;
      return false;
    }
    const action = before === null ? 'created' : 'replaced';
    counts[action]++;
    onChange({ pattern: record.pattern, kind: 'options', action, detail: [...record.options.keys()].join(', ') });
    return true;
  });
  if (!dryRun && changed.length > 0)
    await options.put(changed.map(({ pattern, options: texts }) => ({ pattern, options: texts })));
}

async function importRoutes(
  { routes }: Movable,
  records: readonly RouteRecord[],
  counts: MoveCounts,
  { dryRun, onChange }: ImportOptions,
): Promise<void> {
  // Of records of one pattern the last holds, as if they had been written one after the other.
  const byPattern = new Map(records.map((record) => [record.pattern, record]));
  const wanted = [...byPattern.values()];
  const found = wanted.length === 0 ? [] : await routes.read(wanted.map(({ pattern }) => pattern));
  const present = found.map((record) => (hasRoute(record) ? record : null));
  const changed: RouteRecord[] = [];
  for (const [i, record] of wanted.entries()) {
    const before = present[i] ?? null;
    const { pattern, frontend } = record;
    counts.routes++;
    // A record that was not readable where it came from.
    if (frontend.length === 1 && frontend[0] === null) {
      counts.skipped++;
      onChange({ pattern, kind: 'route', action: 'skipped', detail: 'the record cannot be read' });
      continue;
    }
    if (before !== null && JSON.stringify(before.frontend) === JSON.stringify(frontend)) {
      counts.same++;
      continue;
    }
    changed.push({ pattern, frontend });
    const action = before === null ? 'created' : 'replaced';
    counts[action]++;
    const detail =
      before === null ? shownRecord(frontend) : `${shownRecord(before.frontend)} -> ${shownRecord(frontend)}`;
    onChange({ pattern, kind: 'route', action, detail });
  }
  if (!dryRun && changed.length > 0) await routes.put(changed);
}

async function importCertificate(
  { certificates }: Movable,
  { pattern, certificate, key }: MovedRecord & { readonly kind: 'certificate' },
  counts: MoveCounts,
  { dryRun, onChange }: ImportOptions,
): Promise<void> {
  counts.certificates++;
  const [before = null] = await certificates.read([pattern]);
  if (before !== null && before.certificate === certificate && before.key === key) {
    counts.same++;
    return;
  }
  const action = before === null ? 'created' : 'replaced';
  counts[action]++;
  onChange({ pattern, kind: 'certificate', action, detail: '' });
  if (!dryRun) await certificates.write(pattern, { certificate, key });
}

function shownRecord(frontend: readonly unknown[]): string {
  const [id, ...backends] = frontend;
  const shown = backends.map((url) => (typeof url === 'string' ? shownBackend(url) : JSON.stringify(url)));
  return `${JSON.stringify(id)} ${shown.join(' ')}`.trimEnd();
}

/** Reads a line of an exported file. @throws HipacheError COMMAND_INVALID with its number. */
export function parseRecordLine(line: string, number: number): WrittenRecord {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw invalidLine(number, `it is not JSON: ${(error as Error).message}`);
  }
  if (typeof value === 'object' && value !== null) return value as WrittenRecord;
  throw invalidLine(number, 'it is not a JSON object');
}

/** A record of another store may have a pattern that no request can have; it is moved as it is. */
function patternOf(value: unknown, number: number): string {
  if (typeof value !== 'string' || value === '') throw invalidLine(number, 'it has no text "pattern"');
  try {
    return parseRoutePattern(value);
  } catch {
    return value;
  }
}

function optionsOf(body: object, number: number): OptionRecord['options'] {
  const { options: given } = body as { options?: unknown };
  const { options, problems } = readOptionObject(given, '"options"');
  if (problems.length > 0) throw invalidLine(number, problems.join('; '));
  return options;
}

function invalidLine(number: number, problem: string): HipacheError {
  return new HipacheError('COMMAND_INVALID', `line ${number}: ${problem}`);
}
