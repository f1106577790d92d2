import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import type { InputOf, OperationName, ResultOf } from '../../src/operations/catalogue.ts';
import { ApiFailure, Client } from './client.ts';
import { Feed, type FeedEvent } from './events.ts';

/** What every page has. */
export interface Session {
  readonly client: Client;
  readonly feed: Feed;
}

const client = new Client();
const session: Session = { client, feed: new Feed(client) };

export function useSession(): Session {
  return session;
}

/** Calls `listener` for every event. */
export function useEvents(listener: (event: FeedEvent) => void): void {
  const { feed } = useSession();
  const latest = useRef(listener);
  latest.current = listener;
  useEffect(() => feed.listen((event) => latest.current(event)), [feed]);
}

/** The feed, whose state or kept events have changed since the last drawing. */
export function useFeed(): Feed {
  const { feed } = useSession();
  const [, redraw] = useState(0);
  useEffect(() => feed.watch(() => redraw((count) => count + 1)), [feed]);
  return feed;
}

/** The result of an operation, as it was last. */
export interface Resource<Result> {
  /** Null until it is there, and if it is not there any more. */
  readonly value: Result | null;
  /** Null if the last reading succeeded. */
  readonly failure: ApiFailure | null;
  readonly reload: () => void;
}

/** How often and when a resource is read again. */
export interface Refresh {
  /** In ms; default: never. */
  readonly everyMs?: number;
  /** Whether an event changes it; default: a reset alone does. */
  readonly on?: (event: FeedEvent) => boolean;
}

/** Many changes in a short time cause one reading, in ms. */
const gatherMs = 300;

/** Reads the result of an operation, again with another input, and as `refresh` says. */
export function useOperation<Name extends OperationName>(
  name: Name,
  input: InputOf<Name> | null,
  { everyMs, on }: Refresh = {},
): Resource<ResultOf<Name>> {
  const { client: performer } = useSession();
  const [state, setState] = useState<Omit<Resource<ResultOf<Name>>, 'reload'>>({ value: null, failure: null });
  const key = JSON.stringify(input);
  // The readings of the present input; another input has another object.
  const current = useRef({ isReading: false, isAgain: false });
  const timer = useRef<number | undefined>(undefined);
  const read = useCallback(async () => {
    if (input === null) return;
    const own = current.current;
    if (own.isReading) {
      own.isAgain = true;
      return;
    }
    own.isReading = true;
    try {
      const value = await performer.perform(name, input);
      if (own === current.current) setState({ value, failure: null });
    } catch (error) {
      const failure = error instanceof ApiFailure ? error : new ApiFailure(0, 'UNKNOWN', String(error));
      // Numbers that were right a moment ago are better than none.
      if (own === current.current) {
        setState((before) => ({ value: failure.status === 404 ? null : before.value, failure }));
      }
    }
    own.isReading = false;
    if (!own.isAgain || own !== current.current) return;
    own.isAgain = false;
    void read();
  }, [performer, name, key]);
  const soon = useCallback(() => {
    timer.current ??= window.setTimeout(() => {
      timer.current = undefined;
      void read();
    }, gatherMs);
  }, [read]);
  useEffect(() => {
    setState({ value: null, failure: null });
    void read();
    return () => {
      current.current = { isReading: false, isAgain: false };
      window.clearTimeout(timer.current);
      timer.current = undefined;
    };
  }, [read]);
  useEffect(() => {
    if (everyMs === undefined) return;
    const interval = window.setInterval(() => {
      if (document.visibilityState === 'visible') void read();
    }, everyMs);
    return () => window.clearInterval(interval);
  }, [read, everyMs]);
  useEvents((event) => {
    if (event.name === 'reset' || on?.(event) === true) soon();
  });
  return { ...state, reload: () => void read() };
}

/** Whether an event says that the record of a host may have changed. */
export function changesHost(host: string): (event: FeedEvent) => boolean {
  return ({ data, name }) => name === 'change' && Array.isArray(data['names']) && data['names'].includes(host);
}

/** The part of the address behind `#`. */
export function useRoute(): string {
  const [route, setRoute] = useState(location.hash.slice(1) || '/');
  useEffect(() => {
    const changed = (): void => setRoute(location.hash.slice(1) || '/');
    addEventListener('hashchange', changed);
    return () => removeEventListener('hashchange', changed);
  }, []);
  return route;
}
