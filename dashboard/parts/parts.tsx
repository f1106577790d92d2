import type { ComponentChildren, JSX } from 'preact';
import type { Resource } from '../client/use.ts';

/** A resource once it is there; before, and after a failure, the reason why not. */
export function Loaded<Value>({
  resource,
  children,
}: {
  readonly resource: Resource<Value>;
  readonly children: (value: Value) => ComponentChildren;
}): JSX.Element {
  const { failure, value } = resource;
  return (
    <>
      {failure !== null && (
        <p class="notice bad" role="alert">
          {failure.message}{' '}
          <button type="button" onClick={resource.reload}>
            Try again
          </button>
        </p>
      )}
      {value === null ? failure === null && <p class="hint">Loading …</p> : children(value)}
    </>
  );
}

/** A number with its name. */
export function Tile({
  name,
  value,
  hint,
}: {
  readonly name: string;
  readonly value: string;
  readonly hint?: string | undefined;
}): JSX.Element {
  return (
    <div class="tile">
      <dt>{name}</dt>
      <dd>
        {value}
        {hint !== undefined && <small>{hint}</small>}
      </dd>
    </div>
  );
}

/** A table whose region scrolls by itself. */
export function Table({
  label,
  heads,
  children,
}: {
  readonly label: string;
  /** Those of numbers begin with `#`. */
  readonly heads: readonly string[];
  readonly children: ComponentChildren;
}): JSX.Element {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls has to be reached by the keyboard
    <section class="scrolls" aria-label={label} tabIndex={0}>
      <table>
        <thead>
          <tr>
            {heads.map((head) => (
              <th scope="col" class={head.startsWith('#') ? 'number' : undefined}>
                {head.replace('#', '')}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </section>
  );
}

/** The link to the page of a host. */
export function HostLink({ host }: { readonly host: string }): JSX.Element {
  return <a href={hostPath(host)}>{host}</a>;
}

export function hostPath(host: string): string {
  return `#/hosts/${encodeURIComponent(host)}`;
}

/** A word with a colour that says the same. */
export function Mark({
  kind,
  children,
}: {
  readonly kind: 'good' | 'bad' | 'warn';
  readonly children: ComponentChildren;
}): JSX.Element {
  return <span class={`mark ${kind}`}>{children}</span>;
}
