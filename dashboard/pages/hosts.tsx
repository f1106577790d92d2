import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { InputOf, ResultOf } from '../../src/operations/catalogue.ts';
import { distance, milliseconds, number } from '../client/format.ts';
import { useOperation } from '../client/use.ts';
import { HostLink, hostPath, Loaded, Mark, Table } from '../parts/parts.tsx';

type Order = NonNullable<InputOf<'listTraffic'>['order']>;
type Traffic = ResultOf<'listTraffic'>['hosts'][number];

const orders: readonly (readonly [Order, string])[] = [
  ['rate', 'requests a second'],
  ['errors', 'errors a second'],
  ['latency', 'duration (p99)'],
  ['bytes', 'bytes a second'],
  ['requests', 'requests so far'],
  ['last', 'last request'],
];
const shownMax = 100;
/** Makes the API read all names, so that the first search need not wait for that. */
const warmUp = { contains: '.', limit: 1 };
/** After the last key, in ms. */
const typingMs = 120;

export function HostsPage(): JSX.Element {
  const [typed, setTyped] = useState('');
  const [order, setOrder] = useState<Order>('rate');
  const part = useSettled(typed.trim().toLowerCase());
  useOperation('listRoutes', warmUp);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const focus = (event: KeyboardEvent): void => {
      if (event.key !== '/' || event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement)
        return;
      event.preventDefault();
      field.current?.focus();
    };
    addEventListener('keydown', focus);
    return () => removeEventListener('keydown', focus);
  }, []);
  const open = (event: Event): void => {
    event.preventDefault();
    if (part !== '') location.hash = hostPath(part);
  };
  return (
    <>
      <h1>Hosts</h1>
      <search>
        <form class="row" onSubmit={open}>
          <label>
            Name has
            <input
              ref={field}
              type="search"
              value={typed}
              placeholder="app.example.com"
              spellcheck={false}
              autocomplete="off"
              onInput={(event) => setTyped(event.currentTarget.value)}
            />
          </label>
          <label>
            Sorted by
            <select
              value={order}
              onChange={(event) => setOrder(event.currentTarget.value as Order)}
              disabled={part !== ''}
            >
              {orders.map(([value, name]) => (
                <option value={value}>{name}</option>
              ))}
            </select>
          </label>
          <button type="submit" disabled={part === ''}>
            Open
          </button>
        </form>
      </search>
      {part === '' ? <Busiest order={order} /> : <Found part={part} />}
    </>
  );
}

function useSettled(value: string): string {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = window.setTimeout(() => setSettled(value), typingMs);
    return () => window.clearTimeout(timer);
  }, [value]);
  return settled;
}

function Busiest({ order }: { readonly order: Order }): JSX.Element {
  const traffic = useOperation('listTraffic', { order, limit: shownMax }, { everyMs: 5000 });
  return (
    <Loaded resource={traffic}>
      {({ hosts }) => (
        <>
          <TrafficTable rows={hosts.map((host) => ({ name: host.name, traffic: host }))} />
          <p class="hint">
            {hosts.length === 0 ? 'No host has had a request yet. ' : ''}
            Hosts with traffic on this instance, {shownMax} at most. Type to search among all hosts.
          </p>
        </>
      )}
    </Loaded>
  );
}

function Found({ part }: { readonly part: string }): JSX.Element {
  const routes = useOperation(
    'listRoutes',
    { contains: part, limit: shownMax },
    { on: ({ name }) => name === 'change' },
  );
  const traffic = useOperation('listTraffic', { limit: 1000 }, { everyMs: 5000 });
  const byName = new Map(traffic.value?.hosts.map((host) => [host.name, host]));
  return (
    <Loaded resource={routes}>
      {({ next, routes: found }) => (
        <>
          <TrafficTable
            rows={found.map(({ backends, pattern }) => ({
              name: pattern,
              traffic: byName.get(pattern) ?? null,
              backends: backends.length,
            }))}
          />
          <p class="hint" role="status">
            {found.length === 0
              ? `No host has ${part} in its name.`
              : next === null
                ? `${found.length} found.`
                : `The first ${found.length}; type more to see others.`}
          </p>
        </>
      )}
    </Loaded>
  );
}

interface Row {
  readonly name: string;
  readonly traffic: Traffic | null;
  readonly backends?: number;
}

function TrafficTable({ rows }: { readonly rows: readonly Row[] }): JSX.Element {
  const heads = ['Host', '#Requests/s', '#Errors/s', '#p50', '#p99', '#Requests', '#Errors', 'Last request'];
  return (
    <Table label="Hosts" heads={heads}>
      {rows.map(({ backends, name, traffic }) => (
        <tr key={name}>
          <th scope="row">
            <HostLink host={name} />
            {backends === 0 && <Mark kind="warn">no backends</Mark>}
          </th>
          <td class="number">{number(traffic?.requestsPerSecond ?? 0)}</td>
          <td class="number">
            {traffic !== null && traffic.errorsPerSecond > 0 ? (
              <Mark kind="bad">{number(traffic.errorsPerSecond)}</Mark>
            ) : (
              '0'
            )}
          </td>
          <td class="number">{milliseconds(traffic?.p50Ms ?? null)}</td>
          <td class="number">{milliseconds(traffic?.p99Ms ?? null)}</td>
          <td class="number">{number(traffic?.requests ?? 0)}</td>
          <td class="number">{number(traffic?.errors ?? 0)}</td>
          <td>{distance(traffic?.last ?? null)}</td>
        </tr>
      ))}
    </Table>
  );
}
