const isLong = process.env['HIPACHE_CHAOS'] === '1';

/** Options of a test that takes minutes: `npm run test:chaos` runs it, `npm test` does not. */
export const longCase = { timeout: 300_000, skip: isLong ? false : 'npm run test:chaos runs it' } as const;
