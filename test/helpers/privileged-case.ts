import { spawnSync } from 'node:child_process';

const isPermitted = spawnSync('unshare', ['--mount', '--net', 'true']).status === 0;

/** Options of a test with a network or a file system of its own, which root may make, except in some containers. */
export const privilegedCase = { skip: isPermitted ? false : 'needs the rights of root' } as const;
