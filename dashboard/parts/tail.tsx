import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { ResultOf } from '../../src/operations/catalogue.ts';
import { clockTime, milliseconds, plural } from '../client/format.ts';
import { useSession } from '../client/use.ts';
import { HostLink, Mark, Table } from './parts.tsx';

type TailedRequest = ResultOf<'tailRequests'>['requests'][number];

interface NumberedRequest extends TailedRequest {
  readonly number: number;
}

/** Between two questions, in ms. */
const everyMs = 1000;
const shownMax = 100;

/** The requests of a host, or of all, as they end. @param host null for all. */
export function Tail({ host }: { readonly host: string | null }): JSX.Element {
  const [isOn, setIsOn] = useState(false);
  const [onlyErrors, setOnlyErrors] = useState(false);
  const { leftOut, problem, requests } = useTail(isOn, host, onlyErrors);
  return (
    <>
      <div class="row">
        <button type="button" aria-pressed={isOn} onClick={() => setIsOn(!isOn)}>
          {isOn ? 'Pause' : 'Follow requests'}
        </button>
        <label class="check">
          <input
            type="checkbox"
            checked={onlyErrors}
            onChange={(event) => setOnlyErrors(event.currentTarget.checked)}
          />{' '}
          Only errors
        </label>
      </div>
      {problem !== null && <p class="notice bad">{problem}</p>}
      {requests.length > 0 && <Requests requests={requests} hasHosts={host === null} />}
      {isOn && (
        <p class="hint">
          Of this instance, at most 50 a second of each worker
          {leftOut > 0 ? `; ${plural(leftOut, 'request')} left out so far` : ''}.{requests.length === 0 && ' None yet.'}
        </p>
      )}
    </>
  );
}

interface TailState {
  /** The newest first. */
  readonly requests: readonly NumberedRequest[];
  readonly leftOut: number;
  readonly problem: string | null;
}

let counted = 0;

/** Ids of requests may repeat: clients that are trusted choose them. */
function numbered(requests: readonly TailedRequest[]): NumberedRequest[] {
  return requests.map((request) => ({ ...request, number: ++counted }));
}

const empty: TailState = { requests: [], leftOut: 0, problem: null };

function useTail(isOn: boolean, host: string | null, onlyErrors: boolean): TailState {
  const { client } = useSession();
  const [state, setState] = useState(empty);
  const next = useRef('');
  useEffect(() => {
    setState(empty);
    next.current = '';
  }, [host, onlyErrors]);
  useEffect(() => {
    if (!isOn) return;
    let isOver = false;
    let timer = 0;
    const look = async (): Promise<void> => {
      try {
        const input = { onlyErrors, after: next.current, ...(host === null ? {} : { host }) };
        const found = await client.perform('tailRequests', input);
        if (isOver) return;
        next.current = found.next;
        setState((before) => ({
          requests: [...numbered(found.requests).toReversed(), ...before.requests].slice(0, shownMax),
          leftOut: before.leftOut + found.leftOut,
          problem: null,
        }));
      } catch (error) {
        if (!isOver) setState((before) => ({ ...before, problem: (error as Error).message }));
      }
      later();
    };
    const later = (): void => {
      if (isOver) return;
      timer = window.setTimeout(() => (document.visibilityState === 'visible' ? void look() : later()), everyMs);
    };
    void look();
    return () => {
      isOver = true;
      window.clearTimeout(timer);
    };
  }, [client, isOn, host, onlyErrors]);
  return state;
}

function Requests({
  hasHosts,
  requests,
}: {
  readonly requests: readonly NumberedRequest[];
  readonly hasHosts: boolean;
}): JSX.Element {
  const heads = ['Time', ...(hasHosts ? ['Host'] : []), 'Request', 'Status', '#Took', 'Backend', 'Client'];
  return (
    <Table label="Requests" heads={heads}>
      {requests.map((request) => (
        <tr key={request.number}>
          <td>
            <time dateTime={request.at}>{clockTime(request.at)}</time>
          </td>
          {hasHosts && <td>{request.route === null ? request.host : <HostLink host={request.route} />}</td>}
          <td>
            <code>
              {request.method} {request.target}
            </code>
          </td>
          <td>
            <Status request={request} />
          </td>
          <td class="number">{milliseconds(request.durationMs)}</td>
          <td>{request.backend === null ? '–' : <code>{request.backend}</code>}</td>
          <td>{request.client}</td>
        </tr>
      ))}
    </Table>
  );
}

function Status({ request }: { readonly request: TailedRequest }): JSX.Element {
  const { errorCode, errorDetail, isTunnel, status } = request;
  if (errorCode === null && status < 400) return <>{isTunnel ? `${status}, tunnel` : status}</>;
  return (
    <>
      <Mark kind={status >= 500 || status === 0 ? 'bad' : 'warn'}>{status === 0 ? 'none' : status}</Mark> {errorCode}{' '}
      {errorDetail} <a href={explainPath(request)}>explain</a>
    </>
  );
}

function explainPath({ client, host, method, target }: TailedRequest): string {
  return `#/explain/?${new URLSearchParams({ host, path: target, method, client })}`;
}
