import type { JSX } from 'preact';
import { useMemo, useState } from 'preact/hooks';
import type { ResultOf } from '../../src/operations/catalogue.ts';
import { bytes, distance, milliseconds, number, plural } from '../client/format.ts';
import { useEvents, useOperation } from '../client/use.ts';
import { Chart, type Series } from '../parts/chart.tsx';
import { HostLink, Loaded, Mark, Table, Tile } from '../parts/parts.tsx';
import { Tail } from '../parts/tail.tsx';

type Load = ResultOf<'showLoad'>['windows'][number];

/** An hour of windows of ten seconds. */
const keptMax = 360;
const topMax = 10;

export function OverviewPage(): JSX.Element {
  const windows = useLoad();
  const fleet = useOperation('listFleet', {}, { everyMs: 5000 });
  const traffic = useOperation('listTraffic', { limit: topMax }, { everyMs: 5000 });
  const last = windows.at(-1);
  const instances = fleet.value?.instances ?? [];
  const behind = instances.filter(({ isCurrent }) => !isCurrent).length;
  return (
    <>
      <h1>Overview</h1>
      <dl class="tiles">
        <Tile name="Requests a second" value={last === undefined ? '–' : number(last.requestsPerSecond)} />
        <Tile name="Failures a second" value={last === undefined ? '–' : number(last.failuresPerSecond)} />
        <Tile name="Half are done in" value={milliseconds(last?.p50Ms ?? null)} />
        <Tile name="99 % are done in" value={milliseconds(last?.p99Ms ?? null)} />
        <Tile name="Open tunnels" value={last === undefined ? '–' : number(last.tunnels)} />
        <Tile name="Memory" value={last === undefined ? '–' : bytes(last.residentBytes)} />
        <Tile
          name="Instances"
          value={fleet.value === null ? '–' : String(instances.length)}
          hint={behind > 0 ? `${behind} behind` : undefined}
        />
      </dl>
      {last === undefined && <p class="hint">The first window of ten seconds is not over yet.</p>}
      <Charts windows={windows} />
      <h2>Requests</h2>
      <Tail host={null} />
      <h2>Busiest hosts</h2>
      <Loaded resource={traffic}>
        {({ hosts, windowSeconds }) => (
          <>
            <Table label="Busiest hosts" heads={['Host', '#Requests/s', '#Errors/s', '#p50', '#p99', 'Last request']}>
              {hosts.map((host) => (
                <tr key={host.name}>
                  <th scope="row">
                    <HostLink host={host.name} />
                  </th>
                  <td class="number">{number(host.requestsPerSecond)}</td>
                  <td class="number">
                    {host.errorsPerSecond > 0 ? <Mark kind="bad">{number(host.errorsPerSecond)}</Mark> : '0'}
                  </td>
                  <td class="number">{milliseconds(host.p50Ms)}</td>
                  <td class="number">{milliseconds(host.p99Ms)}</td>
                  <td>{distance(host.last)}</td>
                </tr>
              ))}
            </Table>
            <p class="hint">
              {hosts.length === 0 ? 'No host has had a request yet. ' : ''}Of this instance; rates of {windowSeconds} s.
            </p>
          </>
        )}
      </Loaded>
    </>
  );
}

/** The windows of the last hour, and each new one. */
function useLoad(): readonly Load[] {
  const before = useOperation('showLoad', {});
  const [added, setAdded] = useState<readonly Load[]>([]);
  useEvents(({ data, name }) => {
    if (name === 'load') setAdded((all) => [...all, data as unknown as Load].slice(-keptMax));
  });
  return useMemo(() => {
    const known = before.value?.windows ?? [];
    const latest = known.at(-1)?.at ?? '';
    return [...known, ...added.filter(({ at }) => at > latest)].slice(-keptMax);
  }, [before.value, added]);
}

function Charts({ windows }: { readonly windows: readonly Load[] }): JSX.Element {
  const charts = useMemo(() => chartsOf(windows), [windows]);
  const times = useMemo(() => windows.map(({ at }) => Date.parse(at) / 1000), [windows]);
  if (windows.length < 2) return <></>;
  return (
    <>
      <div class="charts">
        {charts.map((chart) => (
          <Chart key={chart.title} times={times} {...chart} />
        ))}
      </div>
      <p class="hint">
        Of {plural(windows.at(-1)?.instances ?? 1, 'instance')}, in windows of ten seconds, at most the last hour.
      </p>
    </>
  );
}

function chartsOf(windows: readonly Load[]): readonly {
  readonly title: string;
  readonly series: readonly Series[];
  readonly format: (value: number) => string;
}[] {
  const line = (name: string, color: string, figureOf: (window: Load) => number | null): Series => ({
    name,
    color,
    values: windows.map(figureOf),
  });
  const byClass = (name: string, color: string): Series => line(name, color, ({ classes }) => classes[name] ?? 0);
  return [
    {
      title: 'Requests a second, by class of status',
      series: [byClass('2xx', '--good'), byClass('3xx', '--blue'), byClass('4xx', '--warn'), byClass('5xx', '--bad')],
      format: number,
    },
    {
      title: 'Duration',
      series: [line('p50', '--blue', ({ p50Ms }) => p50Ms), line('p99', '--warn', ({ p99Ms }) => p99Ms)],
      format: milliseconds,
    },
    {
      title: 'Failures of backends a second',
      series: [line('failures', '--bad', ({ failuresPerSecond }) => failuresPerSecond)],
      format: number,
    },
    {
      title: 'Open',
      series: [
        line('tunnels', '--blue', ({ tunnels }) => tunnels),
        line('requests', '--good', ({ requestsInFlight }) => requestsInFlight),
        line('connections of clients', '--quiet', ({ clientConnections }) => clientConnections),
      ],
      format: number,
    },
    {
      title: 'Resident memory',
      series: [line('memory', '--blue', ({ residentBytes }) => residentBytes)],
      format: bytes,
    },
    {
      title: 'Bytes to clients a second',
      series: [line('bytes', '--blue', ({ bytesPerSecond }) => bytesPerSecond)],
      format: bytes,
    },
  ];
}
