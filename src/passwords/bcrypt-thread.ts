import { parentPort } from 'node:worker_threads';
import { compareSync } from 'bcryptjs';

/** A check for the thread, and its result. */
export interface BcryptCheck {
  readonly id: number;
  readonly password: string;
  readonly hash: string;
}

export interface BcryptResult {
  readonly id: number;
  readonly isRight: boolean;
}

parentPort?.on('message', ({ hash, id, password }: BcryptCheck) => {
  parentPort?.postMessage({ id, isRight: compareSync(password, hash) } satisfies BcryptResult);
});
