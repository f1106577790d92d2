/** The primary result code of an error of node:sqlite (sqlite.org/rescode.html); null for any other error. */
export function codeOf(error: unknown): number | null {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return null;
  return error.errcode & 0xff;
}

/** SQLITE_BUSY and SQLITE_LOCKED. */
export function isBusyCode(code: number | null): boolean {
  return code === 5 || code === 6;
}
