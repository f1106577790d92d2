const isLong = process.env['HIPACHE_CHAOS'] === '1';

/** Options of a test that takes minutes: `npm run test:chaos` runs it, `npm test` does not. */
export const longCase = { timeout: 300_000, skip: isLong ? false : 'npm run test:chaos runs it' } as const;

/**
 * The stores that tests of a fleet's behaviour run on. What differs between stores has tests of its own (`contract.suite.ts`,
 * `live-everywhere.test.ts`), so that the second store is for `npm run test:chaos`.
 */
export const fleetStores: readonly ('redis' | 'sqlite')[] = isLong ? ['redis', 'sqlite'] : ['redis'];
