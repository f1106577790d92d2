import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { BackOff, type BackOffFigures } from '../base/back-off.ts';
import { type Container, networkContainer, readContainer, readList, withNetworkOf } from './container.ts';
import { type EngineClient, EngineError, type EngineEvent } from './engine-client.ts';
import { Inspections } from './inspections.ts';
import { hasLabels, labelPrefix } from './labels.ts';

/** Hears of containers with labels for Hipache. */
export interface ContainerListener {
  /** The engine answers, and its containers follow. */
  connected(): Promise<void>;
  /** A container as it is now; null: it is not to be reached: it has ended, stops, is paused or not healthy. */
  container(id: string, container: Container | null): void;
  /** Everything that the engine has has been reported. */
  complete(): void;
  /** The engine does not answer; nothing is reported until `complete`. Called for each failure in a row. */
  away(error: Error): void;
  /** A container cannot be inspected, and counts as before. */
  unreadable(id: string, error: Error): void;
}

export interface WatchTimings {
  /** Shortest pause between two listings of the containers that run, in ms: of Docker, and of Podman. */
  readonly listEveryMs: number;
  readonly listPodmanEveryMs: number;
  /** Between two inspections of everything, in ms. */
  readonly inspectEveryMs: number;
  readonly backOff: BackOffFigures;
}

/**
 * Docker reports every change at once, and listings only find what was lost. Podman does not report that a container
 * is asked to end, and lists it no longer.
 */
const usualTimings: WatchTimings = {
  listEveryMs: 10_000,
  listPodmanEveryMs: 1000,
  inspectEveryMs: 30_000,
  backOff: { firstMs: 100, longestMs: 5000, spread: [0.5, 1] },
};

/** A slow listing is followed by a pause that is longer: so many times its own time, and the usual pause at most so many times. */
const pauseTimes = 5;
/** Events from so long before a connection are asked for, in ms: signals to containers that still run. */
const replayMs = 300_000;
/** A container that was asked to end gets no requests for so long at least, in ms, if it goes on. */
const stoppingMsMin = 60_000;
/** Podman reports the result of a check before one can read it: further looks, after so many ms. */
const laterLooksMs = [250, 1000];
/** Signals that are remembered. */
const signalsMax = 10_000;

/** Events after which a container is as before. */
const idleActions = /^(?:exec_|attach|detach|resize|top|copy|export|commit|archive|extract|create$|checkpoint)/;

/** A signal to a container. */
interface SentSignal {
  readonly signal: string;
  readonly timeMs: number;
}

/**
 * Follows the containers of an engine that have labels for Hipache. Events are no more than hints: each has its container inspected
 * anew. So it does not matter which of them are lost, repeated or late.
 */
export class ContainerWatch {
  private readonly client: EngineClient;
  private readonly listener: ContainerListener;
  private readonly timings: WatchTimings;
  private readonly inspections = new Inspections((id) => this.inspect(id));
  /** The containers that were listed last, as they were listed. */
  private prints = new Map<string, string>();
  /** The containers that were last reported as ones to be reached: events may come before they are listed. */
  private readonly reached = new Set<string>();
  /** Those that have been read, and those that could not be read since the start. */
  private readonly known = new Set<string>();
  private readonly unread = new Set<string>();
  private readonly signals = new Map<string, SentSignal>();
  private readonly later = new Set<NodeJS.Timeout>();
  private aheadMs = 0;
  private fail: (error: Error) => void = () => {};

  constructor(client: EngineClient, listener: ContainerListener, timings: Partial<WatchTimings> = {}) {
    this.client = client;
    this.listener = listener;
    this.timings = { ...usualTimings, ...timings };
  }

  /**
   * Reports every container that there is, once, without a call of `complete`.
   * @throws Error if the engine does not answer, or not about each of them.
   */
  async once(): Promise<void> {
    await this.client.negotiate();
    await this.listener.connected();
    await this.list(true);
    const [id] = this.unread;
    if (id !== undefined)
      throw new Error(`the container ${id} cannot be inspected, and may have routes; nothing is changed`);
  }

  /** Follows the engine until `signal` is aborted, whether or not it answers. */
  async run(signal: AbortSignal): Promise<void> {
    const backOff = new BackOff(this.timings.backOff);
    while (!signal.aborted) {
      try {
        await this.follow(signal, backOff);
      } catch (error) {
        if (signal.aborted) return;
        this.listener.away(error as Error);
        await delay(backOff.next(), undefined, { signal }).catch(() => {});
      }
    }
  }

  private async follow(signal: AbortSignal, backOff: BackOff): Promise<void> {
    const { client, timings } = this;
    const { aheadMs, isPodman } = await client.negotiate();
    this.aheadMs = aheadMs;
    await this.listener.connected();
    const failed = Promise.withResolvers<never>();
    failed.promise.catch(() => {});
    this.fail = failed.reject;
    // Before the listing: nothing that happens in between is missed.
    const stream = await client.events(this.engineMs() - replayMs, (event) => this.onEvent(event));
    const stop = (): void => failed.reject(new Error('stopped'));
    signal.addEventListener('abort', stop);
    const over = Promise.race([failed.promise, stream.ended]);
    over.catch(() => {});
    try {
      for (let inspectedMs = Number.NEGATIVE_INFINITY; ; ) {
        const startMs = performance.now();
        const isFull = startMs - inspectedMs >= timings.inspectEveryMs;
        await Promise.race([over, this.list(isFull)]);
        if (isFull) backOff.reset();
        // A container that could not be read since the start may have routes, which must not go: the next listing is full again.
        if (isFull && this.unread.size === 0) {
          inspectedMs = startMs;
          this.listener.complete();
        }
        const everyMs = isPodman ? timings.listPodmanEveryMs : timings.listEveryMs;
        const tookMs = performance.now() - startMs;
        const pauseMs = Math.max(everyMs, Math.min(everyMs, tookMs) * pauseTimes);
        await Promise.race([over, this.pause(pauseMs)]);
      }
    } finally {
      signal.removeEventListener('abort', stop);
      this.fail = () => {};
      for (const timer of this.later) clearTimeout(timer);
      this.later.clear();
      stream.close();
    }
  }

  /** @param isFull whether every container is inspected, and not only those that are not as they were. */
  private async list(isFull: boolean): Promise<void> {
    const listed = readList(await this.client.get('/containers/json')).filter(({ labels }) => hasLabels(labels));
    const due = new Set<string>();
    const prints = new Map(listed.map(({ id, print }) => [id, print]));
    for (const [id, print] of prints) if (isFull || this.prints.get(id) !== print) due.add(id);
    for (const id of [...this.prints.keys(), ...this.reached]) if (isFull || !prints.has(id)) due.add(id);
    this.prints = prints;
    await Promise.all([...due].map((id) => this.inspections.request(id)));
  }

  private onEvent({ action, attributes, id, isOfContainer, timeMs }: EngineEvent): void {
    if (idleActions.test(action)) return;
    const isLabelled = Object.keys(attributes).some((name) => name.startsWith(labelPrefix));
    // Events of networks do not have the labels of the container.
    if (isOfContainer && !isLabelled && !this.prints.has(id)) return;
    if (action === 'kill' && attributes['signal'] !== undefined) {
      if (this.signals.size >= signalsMax) this.signals.clear();
      this.signals.set(id, { signal: attributes['signal'], timeMs });
    }
    this.look(id);
    if (!action.startsWith('health_status')) return;
    for (const afterMs of laterLooksMs) {
      const timer = setTimeout(() => {
        this.later.delete(timer);
        this.look(id);
      }, afterMs);
      this.later.add(timer);
    }
  }

  private look(id: string): void {
    this.inspections.request(id).catch((error: Error) => this.fail(error));
  }

  /** @throws Error if the engine does not answer. */
  private async inspect(id: string): Promise<void> {
    let container: Container | null;
    try {
      container = await this.describe(id);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      // The next listing has it inspected again.
      this.prints.set(id, '');
      if (!this.known.has(id)) this.unread.add(id);
      this.listener.unreadable(id, error);
      return;
    }
    this.unread.delete(id);
    if (container === null) this.known.delete(id);
    else this.known.add(id);
    if (container === null || !container.isRunning) this.signals.delete(id);
    if (container !== null && !hasLabels(container.labels)) return;
    const reached = container !== null && this.isReachable(container) ? container : null;
    if (reached === null) this.reached.delete(id);
    else this.reached.add(id);
    this.listener.container(id, reached);
  }

  /** The container, with the network that it has of another one; null if it is gone. */
  private async describe(id: string): Promise<Container | null> {
    const container = await this.read(id);
    const other = container === null ? null : networkContainer(container);
    if (container === null || other === null) return container;
    const found = await this.read(other);
    return found === null ? container : withNetworkOf(container, found);
  }

  private async read(id: string): Promise<Container | null> {
    let description: unknown;
    try {
      description = await this.client.get(`/containers/${encodeURIComponent(id)}/json`);
    } catch (error) {
      if (error instanceof EngineError && error.status === 404) return null;
      throw error;
    }
    try {
      return readContainer(description);
    } catch (error) {
      throw new EngineError(200, (error as Error).message);
    }
  }

  private isReachable(container: Container): boolean {
    const { health, id, isRunning, startedMs, stopMs, stopSignal } = container;
    if (!isRunning || (health !== 'none' && health !== 'healthy')) return false;
    const sent = this.signals.get(id);
    if (sent === undefined || sent.timeMs < startedMs) return true;
    const number = signalNumber(sent.signal);
    if (number !== constants.signals.SIGKILL && number !== signalNumber(stopSignal)) return true;
    return this.engineMs() - sent.timeMs > Math.max(stopMs, stoppingMsMin);
  }

  /** The time by the clock of the engine, in epoch ms. */
  private engineMs(): number {
    return Date.now() + this.aheadMs;
  }

  private pause(forMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.later.delete(timer);
        resolve();
      }, forMs);
      this.later.add(timer);
    });
  }
}

/** The number of a signal: `15`, `SIGTERM` or `TERM`; 0 for an unknown one. */
function signalNumber(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  const name = text.toUpperCase().replace(/^(?!SIG)/, 'SIG');
  return (constants.signals as Readonly<Record<string, number>>)[name] ?? 0;
}
