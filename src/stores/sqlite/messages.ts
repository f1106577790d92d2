import type { ErrorCode } from '../../base/errors.ts';
import type { CertificatePair, DueNote, StoredInstance } from '../contract.ts';
import type { Changes } from './changes.ts';
import type { FailureRows } from './failed-table.ts';
import type { OptionRows } from './option-table.ts';
import type { RouteRow, Write, WriteResult } from './tables.ts';

/** The settings that the thread starts with. */
export interface ThreadSettings {
  readonly path: string;
  readonly create: boolean;
  readonly changesKept: number;
  readonly threadMemoryMib: number;
  /** Whether the store counts as open, and as lost, if the file cannot be opened yet. */
  readonly serving: boolean;
  /** Whether a store that has never had a record is not the one. */
  readonly refuseEmpty: boolean;
  /** Between two polls for changes while the store is watched, in ms. */
  readonly pollMs: number;
}

export type ThreadRequest =
  | { readonly kind: 'readRoutes'; readonly patterns: readonly string[] }
  | { readonly kind: 'listRoutes'; readonly after: string; readonly limit: number }
  | { readonly kind: 'readCertificates'; readonly patterns: readonly string[] }
  | { readonly kind: 'readOptions'; readonly patterns: readonly string[] }
  | { readonly kind: 'listOptions'; readonly after: string; readonly limit: number }
  | { readonly kind: 'readFailures'; readonly pattern: string }
  | { readonly kind: 'readExpiry'; readonly pattern: string }
  | { readonly kind: 'readInstances' }
  | { readonly kind: 'readRevision' }
  | { readonly kind: 'readAccepted' }
  | { readonly kind: 'readNote'; readonly name: string }
  | { readonly kind: 'readDueNotes'; readonly atMs: number; readonly limit: number }
  | { readonly kind: 'listCertificates'; readonly after: string; readonly limit: number }
  | { readonly kind: 'watch' }
  | { readonly kind: 'close' }
  | Write;

/** To the thread: all requests of one turn of the event loop. */
export type ThreadRequests = readonly { readonly id: number; readonly request: ThreadRequest }[];

/** A HipacheError on its way between threads. */
export interface ErrorMessage {
  readonly code: ErrorCode;
  readonly message: string;
}

export type ThreadReply =
  | { readonly kind: 'routes'; readonly rows: readonly (RouteRow | null)[] }
  | { readonly kind: 'list'; readonly rows: readonly { pattern: string; record: string }[] }
  | { readonly kind: 'certificates'; readonly rows: readonly (CertificatePair | null)[] }
  | { readonly kind: 'options'; readonly rows: readonly (OptionRows | null)[] }
  | { readonly kind: 'optionList'; readonly rows: readonly { pattern: string; options: OptionRows }[] }
  | { readonly kind: 'failures'; readonly rows: FailureRows }
  | { readonly kind: 'instances'; readonly rows: readonly StoredInstance[] }
  | { readonly kind: 'revision'; readonly revision: number }
  | { readonly kind: 'accepted'; readonly text: string | null }
  | { readonly kind: 'note'; readonly text: string | null }
  | { readonly kind: 'dueNotes'; readonly notes: readonly DueNote[] }
  | { readonly kind: 'expiry'; readonly expiryMs: number | null }
  | { readonly kind: 'patterns'; readonly patterns: readonly string[] }
  | WriteResult
  | { readonly kind: 'closed' }
  | { readonly kind: 'watching'; readonly isLost: boolean }
  | { readonly kind: 'error'; readonly error: ErrorMessage };

export type ThreadEvent =
  | { readonly kind: 'opened' }
  | { readonly kind: 'failed'; readonly error: ErrorMessage }
  | { readonly kind: 'changed'; readonly changes: Changes }
  | { readonly kind: 'lost'; readonly error: ErrorMessage }
  | { readonly kind: 'restored' };

/** From the thread: replies and events, in the order in which they happened. */
export type ThreadReplies = readonly ({ readonly id: number; readonly reply: ThreadReply } | ThreadEvent)[];
