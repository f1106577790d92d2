import type { JSX } from 'preact';
import type { ResultOf } from '../../src/operations/catalogue.ts';
import { distance } from '../client/format.ts';
import { Mark } from './parts.tsx';

type ExplainedBackend = ResultOf<'explain'>['backends'][number];

/** Whether a backend gets requests, and why not. @param backend undefined if that is not known yet. */
export function BackendState({ backend }: { readonly backend: ExplainedBackend | undefined }): JSX.Element {
  if (backend === undefined) return <>–</>;
  const { addressProblem, dead } = backend;
  if (dead !== null) {
    return (
      <>
        <Mark kind="bad">down</Mark> {dead.reason}, since {distance(dead.since)}, until {distance(dead.until)}
      </>
    );
  }
  if (addressProblem !== null) {
    return (
      <>
        <Mark kind="bad">no address</Mark> {addressProblem}
      </>
    );
  }
  return <Mark kind="good">in use</Mark>;
}

/** The rows of backends that finish what they have. @param columns of the table. */
export function DrainingRows({
  columns,
  draining,
}: {
  readonly columns: number;
  readonly draining: ResultOf<'explain'>['draining'];
}): JSX.Element {
  return (
    <>
      {draining.map(({ until, url }) => (
        <tr key={`drains ${url}`}>
          <th scope="row">
            <code>{url}</code>
          </th>
          <td colSpan={columns - 1}>
            <Mark kind="warn">drains</Mark> ends {distance(until)}
          </td>
        </tr>
      ))}
    </>
  );
}
