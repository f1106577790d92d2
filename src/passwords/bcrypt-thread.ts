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
  let isRight = false;
  try {
    isRight = compareSync(password, hash);
  } catch {
    // It is no hash that the library knows. The thread has the checks of other hosts as well.
  }
  parentPort?.postMessage({ id, isRight } satisfies BcryptResult);
});
