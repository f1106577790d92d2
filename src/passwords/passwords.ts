import { Worker } from 'node:worker_threads';
import { entryPoint } from '../base/package-files.ts';
import type { BcryptCheck, BcryptResult } from './bcrypt-thread.ts';
import { checkArgon2, parsePasswordHash } from './password-hash.ts';

/** Checks at a time: each may take 128 MiB. */
const runningMax = 2;
/** Checks that wait. Each takes a tenth of a second or more. */
const waitingMax = 100;
/** How long the thread stays without a check, in ms. */
const idleMs = 60_000;
const threadMemoryMib = 64;

/**
 * Checks passwords against their hashes, outside of the event loop: argon2 in Node's threads, bcrypt in one of its own, which
 * lives while it is used.
 */
export class Passwords {
  private thread: Worker | null = null;
  private idleTimer: NodeJS.Timeout | null = null;
  private readonly results = new Map<number, { resolve(isRight: boolean): void; reject(error: Error): void }>();
  private readonly waiting: (() => void)[] = [];
  private running = 0;
  private nextId = 1;

  /**
   * Whether the password has this hash; false for a text that is no hash.
   * @throws if too many checks wait, or the thread fails.
   */
  async check(password: string, hash: string): Promise<boolean> {
    const parsed = parsePasswordHash(hash);
    if (parsed === null) return false;
    await this.turn();
    try {
      return parsed.kind === 'argon2'
        ? await checkArgon2(Buffer.from(password), parsed)
        : await this.checkBcrypt(password, parsed.text);
    } finally {
      this.running--;
      this.waiting.shift()?.();
    }
  }

  /** Ends the thread. Idempotent. */
  async close(): Promise<void> {
    const { thread } = this;
    this.drop(new Error('the checks of passwords have ended'));
    await thread?.terminate();
  }

  private async turn(): Promise<void> {
    if (this.running >= runningMax) {
      if (this.waiting.length >= waitingMax) throw new Error(`more than ${waitingMax} checks of passwords wait`);
      await new Promise<void>((resolve) => void this.waiting.push(resolve));
    }
    this.running++;
  }

  private checkBcrypt(password: string, hash: string): Promise<boolean> {
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    const id = this.nextId++;
    this.results.set(id, { resolve, reject });
    this.started().postMessage({ id, password, hash } satisfies BcryptCheck);
    return promise;
  }

  private started(): Worker {
    if (this.idleTimer !== null) clearTimeout(this.idleTimer);
    this.idleTimer = null;
    this.thread ??= this.start();
    return this.thread;
  }

  private start(): Worker {
    const thread = new Worker(entryPoint('passwords/bcrypt-thread'), {
      execArgv: [],
      name: 'hipache-bcrypt',
      resourceLimits: { maxOldGenerationSizeMb: threadMemoryMib },
    });
    thread.unref();
    const end = (error: Error): void => {
      if (thread === this.thread) this.drop(error);
    };
    thread.on('message', (result: BcryptResult) => this.onResult(result));
    thread.on('error', end);
    thread.on('exit', () => end(new Error('the thread that checks passwords ended')));
    return thread;
  }

  private onResult({ id, isRight }: BcryptResult): void {
    this.results.get(id)?.resolve(isRight);
    this.results.delete(id);
    if (this.results.size > 0) return;
    this.idleTimer = setTimeout(() => {
      const { thread } = this;
      this.drop(new Error('unused'));
      void thread?.terminate();
    }, idleMs).unref();
  }

  /** The thread is used no more; what it was to check fails. */
  private drop(error: Error): void {
    if (this.idleTimer !== null) clearTimeout(this.idleTimer);
    this.idleTimer = null;
    this.thread = null;
    for (const { reject } of this.results.values()) reject(error);
    this.results.clear();
  }
}
