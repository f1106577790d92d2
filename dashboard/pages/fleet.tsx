import type { JSX } from 'preact';
import { distance } from '../client/format.ts';
import { useOperation } from '../client/use.ts';
import { Loaded, Mark, Table } from '../parts/parts.tsx';

/** An instance that has been silent for longer may be cut off, in ms. */
const silentMs = 15_000;

export function FleetPage(): JSX.Element {
  const fleet = useOperation('listFleet', {}, { everyMs: 2000, on: ({ name }) => name === 'change' });
  return (
    <>
      <h1>Fleet</h1>
      <Loaded resource={fleet}>
        {({ instances, revision }) => (
          <>
            <p>Revision of the store: {revision}</p>
            <Table
              label="Instances"
              heads={['Instance', 'Machine', 'State', '#Revision', '#Workers', 'Version', 'Started', 'Heard', 'Drains']}
            >
              {instances.map((one) => (
                <tr key={one.instance}>
                  <th scope="row">{one.instance}</th>
                  <td>{one.host}</td>
                  <td>
                    {one.heardMs !== null && one.heardMs > silentMs ? (
                      <Mark kind="bad">silent</Mark>
                    ) : one.isCurrent ? (
                      <Mark kind="good">current</Mark>
                    ) : (
                      <Mark kind="warn">behind</Mark>
                    )}
                    {one.heldRoutes > 0 && <Mark kind="warn">holds {one.heldRoutes} routes</Mark>}
                  </td>
                  <td class="number">{one.revision}</td>
                  <td class="number">{one.workers.length}</td>
                  <td>{one.version}</td>
                  <td>{distance(one.since === '' ? null : one.since)}</td>
                  <td>{one.heardMs === null ? '–' : `${Math.round(one.heardMs / 1000)} s ago`}</td>
                  <td>{drainsOf(one.draining)}</td>
                </tr>
              ))}
            </Table>
          </>
        )}
      </Loaded>
    </>
  );
}

function drainsOf(
  draining: {
    readonly drains: readonly { readonly pattern: string; readonly inFlight: number }[];
    readonly others: number;
  } | null,
): string {
  if (draining === null || draining.drains.length === 0) return '–';
  const named = draining.drains.map(({ inFlight, pattern }) => `${pattern} (${inFlight})`).join(', ');
  return draining.others > 0 ? `${named} and ${draining.others} more` : named;
}
