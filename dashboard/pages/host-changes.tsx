import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { ResultOf } from '../../src/operations/catalogue.ts';
import { ApiFailure, type Client } from '../client/client.ts';
import { type Resource, useOperation, useSession } from '../client/use.ts';
import { type Undoable, useUndo } from '../parts/undo.tsx';

type Route = ResultOf<'showRoute'>;

/** In place of a password. */
const mask = '********';
/** In place of the value of an option that is one. */
const secret = '(secret)';

/** Lines that go, and lines that come. */
interface Preview {
  readonly removed: readonly string[];
  readonly added: readonly string[];
  readonly warning: string | null;
}

/** A form that replaces the backends of a host, with a look at what it does first. */
export function EditBackends({ host, route }: { readonly host: string; readonly route: Resource<Route> }): JSX.Element {
  const { client } = useSession();
  const addUndo = useUndo();
  const [text, setText] = useState<string | null>(null);
  const [preview, setPreview] = useState<Preview | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  // As it was when the form was opened: a change by somebody else meanwhile is refused, and not overwritten.
  const [before, setBefore] = useState<Route | null>(null);
  const present = route.value;
  if (text === null) {
    const loss = present === null ? null : lossOf(present);
    if (loss !== null) return <p class="hint">{loss}</p>;
    const start = (): void => {
      setBefore(present);
      setText(present === null ? '' : `${urlsOf(present).join('\n')}\n`);
    };
    return (
      <button type="button" onClick={start}>
        {present === null ? 'Add backends' : 'Change backends'}
      </button>
    );
  }
  const urls = text.split(/\s+/).filter((url) => url !== '');
  const close = (): void => {
    setText(null);
    setPreview(null);
    setProblem(null);
  };
  const attempt = async (action: () => Promise<void>): Promise<void> => {
    try {
      await action();
      setProblem(null);
    } catch (error) {
      setProblem((error as Error).message);
    }
  };
  const isOld = present?.version !== before?.version;
  const look = (): Promise<void> => attempt(async () => setPreview(await previewOf(client, host, before, urls)));
  const make = (): Promise<void> =>
    attempt(async () => {
      addUndo(await replace(client, host, before, urls));
      close();
      route.reload();
    });
  const submit = (event: Event): void => {
    event.preventDefault();
    void (preview === null ? look() : make());
  };
  return (
    <form class="edit" onSubmit={submit}>
      <label>
        Backends, one URL a line
        <textarea
          rows={Math.min(12, urls.length + 2)}
          spellcheck={false}
          value={text}
          onInput={(event) => {
            setText(event.currentTarget.value);
            setPreview(null);
          }}
        />
      </label>
      {preview !== null && <Difference preview={preview} isRemoval={urls.length === 0} />}
      {problem !== null && (
        <p class="notice bad" role="alert">
          {problem}
        </p>
      )}
      {isOld && (
        <p class="notice warn" role="status">
          Somebody has changed the route since this form was opened. Cancel, and begin again.
        </p>
      )}
      <button type="submit" disabled={isOld || (before === null && urls.length === 0)}>
        {preview === null ? 'Preview' : 'Make the change'}
      </button>
      <button type="button" class="quiet" onClick={close}>
        Cancel
      </button>
    </form>
  );
}

function Difference({ isRemoval, preview }: { readonly preview: Preview; readonly isRemoval: boolean }): JSX.Element {
  const { added, removed, warning } = preview;
  return (
    <div class="difference" role="status">
      {isRemoval && <p>The route is removed.</p>}
      {added.length + removed.length === 0 && <p>Nothing changes.</p>}
      {removed.map((url) => (
        <div>
          <del>− {url}</del>
        </div>
      ))}
      {added.map((url) => (
        <div>
          <ins>+ {url}</ins>
        </div>
      ))}
      {warning !== null && <p class="notice warn">{warning}</p>}
    </div>
  );
}

/** As the record has them. */
function urlsOf({ elements }: Route): string[] {
  return elements.map(String);
}

/** Why a form would lose a part of the record; null if it would not. */
function lossOf({ draining, elements }: Route): string | null {
  if (draining.length > 0) return 'Backends can be changed here once none of them drains.';
  if (elements.some((element) => typeof element !== 'string'))
    return 'The record has elements that are no text; see the command line.';
  if (elements.some((element) => String(element).includes(mask))) {
    return 'A backend has a password, which is not shown: it can be changed on the command line.';
  }
  return null;
}

/** @throws ApiFailure for backends that are none. */
async function previewOf(
  client: Client,
  host: string,
  before: Route | null,
  urls: readonly string[],
): Promise<Preview> {
  const change = urls.length === 0 ? { remove: host } : { set: host, backends: urls };
  const { changes } = await client.perform('applyChanges', { changes: [change], dryRun: true });
  const known = before === null ? [] : urlsOf(before);
  return {
    removed: known.filter((url) => !urls.includes(url)),
    added: urls.filter((url) => !known.includes(url)),
    warning: changes[0]?.warning ?? null,
  };
}

async function replace(client: Client, host: string, before: Route | null, urls: readonly string[]): Promise<Undoable> {
  const ifVersion = before?.version ?? 'none';
  const { version } = await write(client, host, urls, before, ifVersion);
  const former = before === null ? [] : urlsOf(before);
  const text = urls.length === 0 ? `The route of ${host} is removed.` : `${host} has other backends.`;
  return { text, undo: async () => void (await write(client, host, former, before, version)) };
}

/** No URLs remove the route. */
async function write(
  client: Client,
  host: string,
  urls: readonly string[],
  like: Route | null,
  ifVersion: string,
): Promise<{ readonly version: string }> {
  if (urls.length === 0) return client.perform('removeBackends', { host, backends: [], ifVersion });
  const ttlSeconds = like?.expires == null ? null : Math.max(1, Math.round(like.expires.remainingMs / 1000));
  return client.perform('setRoute', { host, backends: [...urls], id: like?.id ?? null, ttlSeconds, ifVersion });
}

/** A form that sets or removes one option of exactly this host. */
export function EditOption({ host }: { readonly host: string }): JSX.Element {
  const { client } = useSession();
  const addUndo = useUndo();
  const [isOpen, setIsOpen] = useState(false);
  const [name, setName] = useState('');
  const [value, setValue] = useState('');
  const [problem, setProblem] = useState<string | null>(null);
  const known = useOperation('optionNames', isOpen ? {} : null);
  if (!isOpen) {
    return (
      <button type="button" onClick={() => setIsOpen(true)}>
        Change an option
      </button>
    );
  }
  const definition = known.value?.options.find((option) => option.name === name);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    try {
      const undoable = await changeOption(client, host, name, value);
      if (undoable !== null) addUndo(undoable);
      setIsOpen(false);
      setProblem(null);
    } catch (error) {
      setProblem((error as Error).message);
    }
  };
  return (
    <form class="edit" onSubmit={(event) => void submit(event)}>
      <label>
        Option
        <select value={name} onChange={(event) => setName(event.currentTarget.value)}>
          <option value="">Choose one</option>
          {known.value?.options.map((option) => (
            <option value={option.name}>{option.name}</option>
          ))}
        </select>
      </label>
      {definition !== undefined && (
        <p class="hint">
          {definition.description} Allowed: {definition.allowed}. Default: {definition.default}.
        </p>
      )}
      <label>
        Value; empty removes the option from this host
        <input value={value} spellcheck={false} onInput={(event) => setValue(event.currentTarget.value)} />
      </label>
      {problem !== null && (
        <p class="notice bad" role="alert">
          {problem}
        </p>
      )}
      <button type="submit" disabled={name === ''}>
        {value === '' ? `Remove ${name}` : `Set ${name} to ${value}`}
      </button>
      <button type="button" class="quiet" onClick={() => setIsOpen(false)}>
        Cancel
      </button>
    </form>
  );
}

/** @returns how to take it back; null if the former value is not known. */
async function changeOption(client: Client, host: string, name: string, value: string): Promise<Undoable | null> {
  const former = await presentValue(client, host, name);
  const write = (to: string): Promise<unknown> =>
    to === ''
      ? client.perform('unsetOptions', { host, names: [name] })
      : client.perform('setOptions', { host, options: { [name]: to } });
  await write(value);
  if (former === secret || former.includes(mask)) return null;
  const undo = async (): Promise<void> => {
    const present = await presentValue(client, host, name);
    if (present !== value && present !== secret) throw new Error(`Somebody has changed ${name} since.`);
    await write(former);
  };
  return { text: value === '' ? `${name} of ${host} is removed.` : `${name} of ${host} is changed.`, undo };
}

/** Empty if the host has none of its own. */
async function presentValue(client: Client, host: string, name: string): Promise<string> {
  try {
    const { options } = await client.perform('showOptions', { host });
    return options[name] ?? '';
  } catch (error) {
    if (error instanceof ApiFailure && error.status === 404) return '';
    throw error;
  }
}
