import type { JSX } from 'preact';
import { distance } from '../client/format.ts';
import { useOperation } from '../client/use.ts';
import { HostLink, Loaded, Mark, Table } from '../parts/parts.tsx';

const listedMax = 10_000;
const shownMax = 200;
/** Before the end of a certificate, in ms. */
const soonMs = 14 * 86_400_000;

export function CertificatesPage(): JSX.Element {
  const certificates = useOperation(
    'listCertificates',
    { limit: listedMax },
    { on: ({ data, name }) => name === 'change' && data['collection'] === 'certificates' },
  );
  const orders = useOperation('waitingOrders', {}, { everyMs: 10_000 });
  return (
    <>
      <h1>Certificates</h1>
      <h2>Orders</h2>
      {orders.failure !== null && orders.value === null ? (
        <p class="hint">{orders.failure.message}</p>
      ) : (
        <Loaded resource={orders}>
          {({ orders: all }) =>
            all.length === 0 ? (
              <p class="hint">Nothing waits to be ordered.</p>
            ) : (
              <Table label="Orders" heads={['Name', 'State', 'Next attempt', '#Failures', 'Detail']}>
                {all.slice(0, shownMax).map(({ detail, failures, nextAt, pattern, state }) => (
                  <tr key={pattern}>
                    <th scope="row">
                      <HostLink host={pattern} />
                    </th>
                    <td>
                      <Mark kind={state === 'failed' ? 'bad' : 'warn'}>{state}</Mark>
                    </td>
                    <td>{distance(nextAt)}</td>
                    <td class="number">{failures}</td>
                    <td>{detail ?? '–'}</td>
                  </tr>
                ))}
              </Table>
            )
          }
        </Loaded>
      )}
      <h2>In the store, the next end first</h2>
      <Loaded resource={certificates}>
        {({ certificates: all, next }) => (
          <>
            <Table label="Certificates" heads={['Host', 'Ends', 'Issuer', 'Names', 'Key']}>
              {all
                .toSorted((one, other) => ((one.notAfter ?? '') < (other.notAfter ?? '') ? -1 : 1))
                .slice(0, shownMax)
                .map(({ issuer, keyType, names, notAfter, pattern, problem }) => (
                  <tr key={pattern}>
                    <th scope="row">
                      <HostLink host={pattern} />
                    </th>
                    <td>
                      <End notAfter={notAfter} problem={problem} />
                    </td>
                    <td>{issuer ?? '–'}</td>
                    <td>{names.slice(0, 5).join(', ')}</td>
                    <td>{keyType ?? '–'}</td>
                  </tr>
                ))}
            </Table>
            <p class="hint">
              {all.length === 0 ? 'There are none. ' : ''}
              {all.length > shownMax ? `The first ${shownMax} of ${all.length}. ` : ''}
              {next === null ? '' : `Only the first ${listedMax} by name were looked at.`}
            </p>
          </>
        )}
      </Loaded>
    </>
  );
}

function End({
  notAfter,
  problem,
}: {
  readonly notAfter: string | null;
  readonly problem: string | null;
}): JSX.Element {
  if (problem !== null) return <Mark kind="bad">{problem}</Mark>;
  if (notAfter === null) return <>–</>;
  const leftMs = Date.parse(notAfter) - Date.now();
  if (leftMs < soonMs) return <Mark kind={leftMs < 0 ? 'bad' : 'warn'}>{distance(notAfter)}</Mark>;
  return <>{distance(notAfter)}</>;
}
