/**
 * Lets one of those that wait go on in each turn of the event loop, in their order. So many handshakes of names without a
 * certificate, which a store may have told apart all at once, do not come before the next handshake of another name.
 */
export class OnePerTurn {
  private readonly waiting: (() => void)[] = [];

  /** Resolves in a turn of its own. */
  turn(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    if (this.waiting.push(resolve) === 1) setImmediate(this.next);
    return promise;
  }

  private readonly next = (): void => {
    this.waiting.shift()?.();
    if (this.waiting.length > 0) setImmediate(this.next);
  };
}
