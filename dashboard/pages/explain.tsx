import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { InputOf, ResultOf } from '../../src/operations/catalogue.ts';
import { distance } from '../client/format.ts';
import { useOperation } from '../client/use.ts';
import { BackendState, DrainingRows } from '../parts/backends.tsx';
import { HostLink, Loaded, Mark, Table } from '../parts/parts.tsx';

type Asked = InputOf<'explain'>;

/** The fields of the request that was explained last, until the page is closed. */
let headerText = '';

/** @param query the request that is explained, as the form writes it into the address. */
export function ExplainPage({ query }: { readonly query: string }): JSX.Element {
  const given = new URLSearchParams(query.replace(/^\?/, ''));
  const [, redraw] = useState(0);
  const text = (name: string): string => given.get(name) ?? '';
  const host = text('host');
  const asked: Asked | null =
    host === ''
      ? null
      : {
          host,
          live: true,
          ...(text('path') === '' ? {} : { path: text('path') }),
          ...(text('method') === '' ? {} : { method: text('method') }),
          ...(text('client') === '' ? {} : { client: text('client') }),
          ...(given.has('https') ? { https: true } : {}),
          ...(headerText.trim() === '' ? {} : { header: headerText.split('\n').filter((line) => line.trim() !== '') }),
        };
  const explained = useOperation('explain', asked, { on: ({ name }) => name === 'change' });
  return (
    <>
      <h1>Explain a request</h1>
      <AskForm given={given} onAgain={() => redraw((count) => count + 1)} />
      {asked !== null && <Loaded resource={explained}>{(explanation) => <Trace explanation={explanation} />}</Loaded>}
    </>
  );
}

function AskForm({
  given,
  onAgain,
}: {
  readonly given: URLSearchParams;
  /** Only the fields are others. */
  readonly onAgain: () => void;
}): JSX.Element {
  const [header, setHeader] = useState(headerText);
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget as HTMLFormElement);
    const query = new URLSearchParams();
    for (const [name, value] of fields) if (value !== '' && name !== 'header') query.set(name, String(value));
    // They may have a password: the address, which histories keep, is not for them.
    headerText = header;
    const next = `/explain/?${query}`;
    if (location.hash === `#${next}`) onAgain();
    else location.hash = next;
  };
  const field = (name: string, label: string, placeholder: string, isRequired = false): JSX.Element => (
    <label>
      {label}
      <input
        name={name}
        defaultValue={given.get(name) ?? ''}
        placeholder={placeholder}
        required={isRequired}
        spellcheck={false}
        autocomplete="off"
      />
    </label>
  );
  return (
    <form class="edit grid" onSubmit={submit}>
      {field('host', 'Host', 'app.example.com', true)}
      {field('path', 'Path', '/')}
      {field('method', 'Method', 'GET')}
      {field('client', 'Address of the client', '192.0.2.7')}
      <label class="check">
        <input type="checkbox" name="https" value="1" defaultChecked={given.has('https')} /> The client uses https
      </label>
      <label class="wide">
        Fields, one a line
        <textarea
          name="header"
          rows={2}
          placeholder="Authorization: Basic …"
          spellcheck={false}
          value={header}
          onInput={(event) => setHeader(event.currentTarget.value)}
        />
      </label>
      <button type="submit">Explain</button>
    </form>
  );
}

function Trace({ explanation }: { readonly explanation: ResultOf<'explain'> }): JSX.Element {
  const {
    authServer,
    backends,
    chosen,
    draining,
    health,
    held,
    live,
    matched,
    options,
    path,
    problems,
    refusal,
    tried,
  } = explanation;
  return (
    <>
      <h2>What happens</h2>
      <ol class="steps">
        {tried.map(({ matched: isMatch, pattern }) => (
          <li>
            {isMatch ? <Mark kind="good">matches</Mark> : <span class="quiet-text">no route</span>}{' '}
            {isMatch ? <HostLink host={pattern} /> : pattern}
          </li>
        ))}
        {matched === null && (
          <li>
            <Mark kind="bad">no route</Mark> The client gets the page for unknown hosts.
          </li>
        )}
        {refusal !== null && (
          <li>
            <Mark kind="warn">{refusal.status}</Mark> {refusal.detail}
            {refusal.location !== null && (
              <>
                {' '}
                to <code>{refusal.location}</code>
              </>
            )}
          </li>
        )}
        {authServer !== null && (
          <li>
            <Mark kind="warn">asks</Mark> <code>{authServer}</code> decides first.
          </li>
        )}
        {held !== null && (
          <li>
            <Mark kind="warn">waits</Mark> {held.because}, for {held.forMs} ms at most
          </li>
        )}
        {path !== null && (
          <li>
            Backends get <code>{path}</code>
          </li>
        )}
        {chosen !== null && (
          <li>
            {chosen.url === null ? <Mark kind="bad">no backend</Mark> : <Mark kind="good">chosen</Mark>}{' '}
            {chosen.url !== null && <code>{chosen.url}</code>} {chosen.by}
          </li>
        )}
      </ol>
      {problems.map((problem) => (
        <p class="notice warn">{problem}</p>
      ))}
      {backends.length > 0 && (
        <>
          <h2>Backends</h2>
          <Table label="Backends" heads={['Backend', 'State', 'Addresses', 'Last failure']}>
            {backends.map((backend) => (
              <tr key={backend.url}>
                <th scope="row">
                  <code>{backend.url}</code>
                </th>
                <td>
                  <BackendState backend={backend} />
                </td>
                <td>{backend.addresses?.join(', ') ?? '–'}</td>
                <td>{failuresOf(backend)}</td>
              </tr>
            ))}
            <DrainingRows columns={4} draining={draining} />
          </Table>
        </>
      )}
      {health !== null && (
        <p class="hint">
          Checked at <code>{health.path}</code> every {health.everyMs / 1000} s.
        </p>
      )}
      {options.length > 0 && (
        <>
          <h2>Options that hold</h2>
          <Table label="Options that hold" heads={['Option', 'Value', 'Set at']}>
            {options.map(({ from, name, value }) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td>
                  <code>{value}</code>
                </td>
                <td>
                  <HostLink host={from} />
                </td>
              </tr>
            ))}
          </Table>
        </>
      )}
      {live !== null && live.length > 0 && <Live live={live} />}
    </>
  );
}

function failuresOf({ failures }: ResultOf<'explain'>['backends'][number]): string {
  return failures === null ? '–' : `${failures.count}, ${failures.reason}, ${distance(failures.last)}`;
}

function Live({ live }: { readonly live: NonNullable<ResultOf<'explain'>['live']> }): JSX.Element {
  const heads = ['Worker', 'Store', '#Requests', '#Tunnels', '#Waiting', 'Would choose'];
  return (
    <>
      <h2>In each worker now</h2>
      <Table label="In each worker now" heads={heads}>
        {live.map(({ chosen, held, isConnected, requests, requestsMax, tunnels, tunnelsMax, waiting, worker }) => (
          <tr key={worker}>
            <th scope="row">{worker}</th>
            <td>{isConnected ? <Mark kind="good">connected</Mark> : <Mark kind="bad">lost</Mark>}</td>
            <td class="number">
              {requests} of {requestsMax}
            </td>
            <td class="number">
              {tunnels} of {tunnelsMax}
            </td>
            <td class="number">{waiting}</td>
            <td>{held?.because ?? chosen?.url ?? chosen?.by ?? '–'}</td>
          </tr>
        ))}
      </Table>
    </>
  );
}
