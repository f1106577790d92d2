import type { SecureContext } from 'node:tls';
import type { SetTimer } from '../base/timer.ts';

export interface AwaitedCertificatesOptions {
  /** Whether a certificate is to be ordered for a name. A promise does not reject. */
  readonly isWanted: (serverName: string) => boolean | Promise<boolean>;
  /** Asks for a certificate; `ended` follows, unless `changed` does. */
  readonly ask: (serverName: string, address: string) => void;
  /** The certificate of a name, as `ServerCertificates.load` finds it. */
  readonly load: (serverName: string) => Promise<SecureContext | null>;
  readonly setTimer: SetTimer;
  /** How long a handshake waits, in ms. */
  readonly waitMs: number;
}

interface AwaitedName {
  readonly context: Promise<SecureContext | null>;
  settle(context: SecureContext | null): void;
}

/** Names that are waited for. The handshakes of further ones get what there is. */
const waitingMax = 1000;
/** How long a name is not asked for again after nothing came of it, in ms, and how many of them are remembered. */
const againMs = 10_000;
const refusedMax = 10_000;

/** Handshakes of hosts whose first certificate is being ordered wait for it, up to a bound. */
export class AwaitedCertificates {
  private readonly options: AwaitedCertificatesOptions;
  private readonly waiting = new Map<string, AwaitedName>();
  private readonly refused = new Set<string>();

  constructor(options: AwaitedCertificatesOptions) {
    this.options = options;
  }

  get size(): number {
    return this.waiting.size;
  }

  /**
   * The certificate of a name that has none yet; null if none is to be ordered, or if it does not come in time. Never rejects.
   * @param address of the client.
   */
  async find(serverName: string, address: string): Promise<SecureContext | null> {
    const name = serverName.toLowerCase();
    const known = this.waiting.get(name);
    if (known !== undefined) return known.context;
    if (this.refused.has(name) || this.waiting.size >= waitingMax) return null;
    if (!(await this.options.isWanted(name))) return null;
    const waiting = this.waiting.get(name);
    if (waiting !== undefined) return waiting.context;
    return this.waiting.size >= waitingMax ? null : this.await(name, address).context;
  }

  /** Certificates of these patterns, exact names or wildcards, may be there now. To be called after `ServerCertificates.changed`. */
  changed(collection: string, patterns: readonly string[]): void {
    if (collection !== 'certificates') return;
    for (const pattern of patterns) this.lookFor(pattern, false);
  }

  /** Nothing more will come of a name, or of a wildcard, for now. */
  ended(pattern: string): void {
    this.lookFor(pattern, true);
  }

  private lookFor(pattern: string, isLast: boolean): void {
    if (!pattern.startsWith('*.')) this.look(pattern, isLast);
    else
      for (const name of this.waiting.keys())
        if (`*${name.slice(name.indexOf('.'))}` === pattern) this.look(name, isLast);
  }

  private await(name: string, address: string): AwaitedName {
    const { promise, resolve } = Promise.withResolvers<SecureContext | null>();
    const cancel = this.options.setTimer(this.options.waitMs, () => this.settle(name, null));
    const waiting: AwaitedName = {
      context: promise,
      settle: (context) => {
        cancel();
        resolve(context);
      },
    };
    this.waiting.set(name, waiting);
    this.options.ask(name, address);
    return waiting;
  }

  /** @param isLast whether nothing follows if there is none yet. */
  private look(name: string, isLast: boolean): void {
    if (!this.waiting.has(name)) return;
    this.options.load(name).then(
      (context) => {
        if (context !== null || isLast) this.settle(name, context);
      },
      () => {},
    );
  }

  private settle(name: string, context: SecureContext | null): void {
    const waiting = this.waiting.get(name);
    if (waiting === undefined) return;
    this.waiting.delete(name);
    if (context === null && this.refused.size < refusedMax) {
      this.refused.add(name);
      this.options.setTimer(againMs, () => this.refused.delete(name));
    }
    waiting.settle(context);
  }
}
