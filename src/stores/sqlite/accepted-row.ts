import type { Prepare } from './schema.ts';

/*
 * The operator's word is a row of `meta`. Its write is counted as a change, of a kind that nobody follows; see
 * write-ahead-log.ts.
 */
const count = "INSERT INTO changes (pattern, kind) VALUES ('', 'accepted')";

export function readAccepted(prepare: Prepare): string | null {
  const { value } = prepare("SELECT value FROM meta WHERE key = 'accepted'").get() ?? {};
  return value === undefined || value === null ? null : String(value);
}

/** Within a transaction. */
export function writeAccepted(prepare: Prepare, text: string): void {
  prepare("INSERT OR REPLACE INTO meta VALUES ('accepted', ?)").run(text);
  prepare(count).run();
}
