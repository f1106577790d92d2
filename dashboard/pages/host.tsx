import type { JSX } from 'preact';
import type { ResultOf } from '../../src/operations/catalogue.ts';
import { clockTime, distance, milliseconds, number } from '../client/format.ts';
import { changesHost, type Resource, useFeed, useOperation } from '../client/use.ts';
import { BackendState, DrainingRows } from '../parts/backends.tsx';
import { Loaded, Mark, Table, Tile } from '../parts/parts.tsx';
import { Tail } from '../parts/tail.tsx';
import { EditBackends, EditOption } from './host-changes.tsx';

type Explanation = ResultOf<'explain'>;
type Traffic = ResultOf<'showTraffic'>;

export function HostPage({ host }: { readonly host: string }): JSX.Element {
  const isChange = changesHost(host);
  const route = useOperation('showRoute', { host }, { on: isChange });
  const explained = useOperation('explain', askedOf(host), { on: isChange, everyMs: 5000 });
  const traffic = useOperation('showTraffic', { host }, { everyMs: 5000, on: isChange });
  const { value } = traffic;
  return (
    <>
      <h1>{host}</h1>
      <p>
        <a href={explainPath(host)}>Explain a request</a>
      </p>
      {value !== null && (
        <dl class="tiles">
          <Tile name="Requests a second" value={number(value.host.requestsPerSecond)} />
          <Tile name="Errors a second" value={number(value.host.errorsPerSecond)} />
          <Tile name="Half are done in" value={milliseconds(value.host.p50Ms)} />
          <Tile name="99 % are done in" value={milliseconds(value.host.p99Ms)} />
          <Tile name="Last request" value={distance(value.host.last)} />
        </dl>
      )}
      <h2>Backends</h2>
      {route.failure?.status === 404 ? (
        <p class="notice warn">There is no route of exactly this name. With backends, it begins to exist.</p>
      ) : (
        <Loaded resource={route}>
          {(shown) => (
            <>
              <Backends shown={shown} explained={explained.value} traffic={traffic.value} />
              {shown.expires !== null && <p class="hint">The route expires {distance(shown.expires.at)}.</p>}
              {shown.problems.map((problem) => (
                <p class="notice warn">{problem}</p>
              ))}
            </>
          )}
        </Loaded>
      )}
      <EditBackends host={host} route={route} />
      <h2>Options</h2>
      <Options host={host} explained={explained} />
      <h2>Certificate</h2>
      <Certificate host={host} />
      <h2>Requests</h2>
      <Tail host={host} />
      <h2>Changes</h2>
      <History host={host} />
    </>
  );
}

/** A host and the prefix of a path, as `example.com/api` names them. */
function askedOf(pattern: string): { readonly host: string; readonly path?: string } {
  const slash = pattern.indexOf('/');
  const name = (slash < 0 ? pattern : pattern.slice(0, slash)).replace(/^\*\./, 'any.');
  const host = name === '*' ? 'any.invalid' : name;
  return slash < 0 ? { host } : { host, path: pattern.slice(slash) };
}

function explainPath(pattern: string): string {
  return `#/explain/?${new URLSearchParams({ ...askedOf(pattern) })}`;
}

function Backends({
  shown,
  explained,
  traffic,
}: {
  readonly shown: ResultOf<'showRoute'>;
  readonly explained: Explanation | null;
  readonly traffic: Traffic | null;
}): JSX.Element {
  const heads = ['Backend', 'State', '#Weight', '#Requests/s', '#Errors/s', '#p50', '#p99', 'Last failure'];
  return (
    <Table label="Backends" heads={heads}>
      {shown.backends.map(({ backup, canary, index, url, weight }) => {
        const known = explained?.matched === shown.pattern ? explained.backends[index] : undefined;
        const counts = traffic?.backends.find(({ name }) => name === url.replace(/#.*$/, ''));
        return (
          <tr key={url}>
            <th scope="row">
              <code>{url}</code>
              {backup && <Mark kind="warn">backup</Mark>}
              {canary !== null && <Mark kind="warn">canary {canary} %</Mark>}
            </th>
            <td>
              <BackendState backend={known} />
            </td>
            <td class="number">{weight}</td>
            <td class="number">{number(counts?.requestsPerSecond ?? 0)}</td>
            <td class="number">{number(counts?.errorsPerSecond ?? 0)}</td>
            <td class="number">{milliseconds(counts?.p50Ms ?? null)}</td>
            <td class="number">{milliseconds(counts?.p99Ms ?? null)}</td>
            <td>{known?.failures == null ? '–' : `${known.failures.reason}, ${distance(known.failures.last)}`}</td>
          </tr>
        );
      })}
      <DrainingRows columns={heads.length} draining={shown.draining} />
    </Table>
  );
}

function Options({
  host,
  explained,
}: {
  readonly host: string;
  readonly explained: Resource<Explanation>;
}): JSX.Element {
  return (
    <>
      <Loaded resource={explained}>
        {({ options }) =>
          options.length === 0 ? (
            <p class="hint">Only defaults hold.</p>
          ) : (
            <Table label="Options" heads={['Option', 'Value', 'Set at']}>
              {options.map(({ from, name, value }) => (
                <tr key={name}>
                  <th scope="row">{name}</th>
                  <td>
                    <code>{value}</code>
                  </td>
                  <td>{from}</td>
                </tr>
              ))}
            </Table>
          )
        }
      </Loaded>
      <EditOption host={host} />
    </>
  );
}

function Certificate({ host }: { readonly host: string }): JSX.Element {
  const name = host.replace(/\/.*$/, '');
  const standing = useOperation('certificateStanding', { host: name }, { on: changesHost(name) });
  if (standing.failure !== null && standing.value === null) return <p class="hint">{standing.failure.message}</p>;
  return (
    <Loaded resource={standing}>
      {({ certificate, coveredBy, failure, isWanted, notOrderable, order, records, renewal }) => (
        <>
          {certificate === null ? (
            <p>{coveredBy === null ? 'None.' : `That of ${coveredBy}.`}</p>
          ) : (
            <p>
              {certificate.names.join(', ')}, of {certificate.issuer ?? 'an unknown issuer'},{' '}
              {certificate.notAfter === null ? 'without an end' : `ends ${distance(certificate.notAfter)}`}
              {certificate.problem !== null && <Mark kind="bad">{certificate.problem}</Mark>}
            </p>
          )}
          {isWanted && order !== null && <p>An order is under way since {distance(order.since)}.</p>}
          {isWanted && renewal !== null && <p>The next order is due {distance(renewal.at)}.</p>}
          {failure !== null && (
            <p class="notice bad">
              {failure.detail} ({failure.count} in a row)
            </p>
          )}
          {notOrderable !== null && <p class="notice warn">{notOrderable}</p>}
          {records.length > 0 && (
            <ul>
              {records.map(({ name: record, value }) => (
                <li>
                  <code>
                    {record} {value}
                  </code>
                </li>
              ))}
            </ul>
          )}
        </>
      )}
    </Loaded>
  );
}

function History({ host }: { readonly host: string }): JSX.Element {
  const { kept } = useFeed();
  const own = kept.filter(({ data, name }) =>
    name === 'audit' ? data['host'] === host : changesHost(host)({ data, name }),
  );
  if (own.length === 0) return <p class="hint">None since this page was opened.</p>;
  return (
    <ul class="log">
      {own.map(({ data, name }) => (
        <li>
          <time dateTime={String(data['at'])}>{clockTime(String(data['at']))}</time>{' '}
          {name === 'audit'
            ? `${data['operation']} by ${data['by']} from ${data['from']}: ${data['result']}`
            : `${data['collection']} changed`}
        </li>
      ))}
    </ul>
  );
}
