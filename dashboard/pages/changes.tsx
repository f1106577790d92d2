import type { JSX } from 'preact';
import type { FeedEvent } from '../client/events.ts';
import { clockTime } from '../client/format.ts';
import { useFeed } from '../client/use.ts';
import { HostLink, Mark, Table } from '../parts/parts.tsx';

const namesMax = 5;

export function ChangesPage(): JSX.Element {
  const { kept } = useFeed();
  const shown = kept.filter(({ name }) => name !== 'reset');
  return (
    <>
      <h1>Changes</h1>
      {shown.length === 0 ? (
        <p class="hint">None since this page was opened. They appear here as they are made, by whatever program.</p>
      ) : (
        <Table label="Changes" heads={['Time', 'What', 'Hosts', 'By']}>
          {shown.map((event) => (
            <tr>
              <td>
                <time dateTime={String(event.data['at'])}>{clockTime(String(event.data['at']))}</time>
              </td>
              <Cells event={event} />
            </tr>
          ))}
        </Table>
      )}
    </>
  );
}

function Cells({ event }: { readonly event: FeedEvent }): JSX.Element {
  const { data, name } = event;
  if (name === 'store') {
    return (
      <td colSpan={3}>
        <Mark kind={data['state'] === 'lost' ? 'bad' : 'good'}>store {String(data['state'])}</Mark>{' '}
        {String(data['error'] ?? '')}
      </td>
    );
  }
  if (name === 'audit') {
    const isDone = data['result'] === 'done';
    return (
      <>
        <td>
          {String(data['operation'])} <Mark kind={isDone ? 'good' : 'bad'}>{String(data['result'])}</Mark>
        </td>
        <td>{typeof data['host'] === 'string' ? <HostLink host={data['host']} /> : '–'}</td>
        <td>
          {String(data['by'])}, {String(data['from'])}
        </td>
      </>
    );
  }
  const names = (data['names'] as readonly string[] | undefined) ?? [];
  return (
    <>
      <td>{String(data['collection'])} changed</td>
      <td>
        {names.slice(0, namesMax).map((host, index) => (
          <>
            {index > 0 && ', '}
            <HostLink host={host} />
          </>
        ))}
        {names.length > namesMax && ` and ${names.length - namesMax} more`}
      </td>
      <td>–</td>
    </>
  );
}
