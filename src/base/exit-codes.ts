/** Exit codes of the program; documented in docs/command-line.md. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  wrongInput: 2,
  notFound: 3,
  notLive: 4,
  conflict: 5,
  unhealthy: 6,
} as const;
