import { createContext, type JSX } from 'preact';
import { useContext, useEffect, useState } from 'preact/hooks';

/** A change that was made, and how to take it back. */
export interface Undoable {
  readonly text: string;
  readonly undo: () => Promise<void>;
}

/** How long a change can be taken back here, in ms. */
const keptMs = 10 * 60_000;
const keptMax = 20;

interface Kept extends Undoable {
  readonly number: number;
  readonly untilMs: number;
}

/** The changes of this page that can be taken back. */
class UndoList {
  kept: readonly Kept[] = [];
  private made = 0;
  private readonly watchers = new Set<() => void>();

  add(change: Undoable): void {
    const next = { ...change, number: ++this.made, untilMs: Date.now() + keptMs };
    this.set([next, ...this.kept].slice(0, keptMax));
  }

  remove(number: number): void {
    this.set(this.kept.filter((one) => one.number !== number));
  }

  expire(): void {
    if (this.kept.some(({ untilMs }) => untilMs < Date.now())) {
      this.set(this.kept.filter(({ untilMs }) => untilMs >= Date.now()));
    }
  }

  watch(watcher: () => void): () => void {
    this.watchers.add(watcher);
    return () => void this.watchers.delete(watcher);
  }

  private set(kept: readonly Kept[]): void {
    this.kept = kept;
    for (const watcher of this.watchers) watcher();
  }
}

const UndoContext = createContext(new UndoList());

export function useUndo(): (change: Undoable) => void {
  const list = useContext(UndoContext);
  return (change) => list.add(change);
}

/** The last changes, each with a button that takes it back. */
export function Undo(): JSX.Element | null {
  const list = useContext(UndoContext);
  const [, redraw] = useState(0);
  const [problem, setProblem] = useState<{ readonly number: number; readonly text: string } | null>(null);
  const [isBusy, setIsBusy] = useState(false);
  useEffect(() => list.watch(() => redraw((count) => count + 1)), [list]);
  useEffect(() => {
    const timer = window.setInterval(() => list.expire(), 5000);
    return () => window.clearInterval(timer);
  }, [list]);
  const [latest] = list.kept;
  if (latest === undefined) return null;
  const take = async (): Promise<void> => {
    setIsBusy(true);
    try {
      await latest.undo();
      list.remove(latest.number);
    } catch (error) {
      setProblem({ number: latest.number, text: (error as Error).message });
    }
    setIsBusy(false);
  };
  return (
    <div class="undo" role="status">
      <span>{latest.text}</span>
      <button type="button" disabled={isBusy} onClick={() => void take()}>
        Undo
      </button>
      <button type="button" class="quiet" onClick={() => list.remove(latest.number)}>
        Dismiss
      </button>
      {problem?.number === latest.number && <p class="bad">{problem.text}</p>}
    </div>
  );
}
