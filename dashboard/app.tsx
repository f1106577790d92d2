import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { useFeed, useRoute, useSession } from './client/use.ts';
import { CertificatesPage } from './pages/certificates.tsx';
import { ChangesPage } from './pages/changes.tsx';
import { ExplainPage } from './pages/explain.tsx';
import { FleetPage } from './pages/fleet.tsx';
import { HostPage } from './pages/host.tsx';
import { HostsPage } from './pages/hosts.tsx';
import { OverviewPage } from './pages/overview.tsx';
import { SignIn } from './pages/sign-in.tsx';
import { Undo } from './parts/undo.tsx';

const entries = [
  ['/', 'Overview'],
  ['/hosts', 'Hosts'],
  ['/explain', 'Explain'],
  ['/certificates', 'Certificates'],
  ['/fleet', 'Fleet'],
  ['/changes', 'Changes'],
] as const;

/** The token that the address has behind `#token=`, from where it does not reach any server or log. */
function takeToken(): string | null {
  const [, token] = /^#token=(.+)$/.exec(location.hash) ?? [];
  if (token === undefined) return null;
  history.replaceState(null, '', `${location.pathname}#/`);
  return decoded(token);
}

/** An address may be anything that somebody has typed. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function App(): JSX.Element {
  const { client } = useSession();
  const [refusal, setRefusal] = useState<string | null>(null);
  const [isKnown, setIsKnown] = useState(false);
  useEffect(() => {
    client.onUnauthorized = setRefusal;
    const token = takeToken();
    if (token !== null) client.signIn(token);
    setIsKnown(true);
  }, [client]);
  if (!isKnown) return <main />;
  if (refusal !== null) {
    const detail = client.hasToken ? refusal : null;
    const signIn = (token: string): void => {
      client.signIn(token);
      setRefusal(null);
    };
    return <SignIn detail={detail} onToken={signIn} />;
  }
  return <Pages />;
}

function Pages(): JSX.Element {
  const { client, feed } = useSession();
  const route = useRoute();
  useEffect(() => feed.start(), [feed]);
  const signOut = (): void => {
    client.signOut();
    location.reload();
  };
  const [, page = '', rest = ''] = /^\/([^/?]*)\/?(.*)$/.exec(route) ?? [];
  useEffect(() => {
    const title = entries.find(([path]) => path === `/${page}`)?.[1] ?? 'Hipache';
    document.title = rest === '' || page === 'explain' ? `${title} · Hipache` : `${decoded(rest)} · Hipache`;
    window.scrollTo(0, 0);
  }, [page, rest]);
  return (
    <>
      <button type="button" class="skip" onClick={skip}>
        Skip to the content
      </button>
      <header>
        <a class="brand" href="#/">
          Hipache
        </a>
        <nav aria-label="Pages">
          {entries.map(([path, name]) => (
            <a href={`#${path}`} aria-current={path === `/${page}` ? 'page' : undefined}>
              {name}
            </a>
          ))}
          <a href="help/">Help</a>
        </nav>
        <Connection />
        {client.hasToken && (
          <button type="button" class="quiet" onClick={signOut}>
            Sign out
          </button>
        )}
      </header>
      <main id="content" tabIndex={-1}>
        <StoreNotice />
        {pageOf(page, rest)}
      </main>
      <Undo />
    </>
  );
}

function skip(): void {
  document.getElementById('content')?.focus();
}

function pageOf(page: string, rest: string): JSX.Element {
  switch (page) {
    case '':
      return <OverviewPage />;
    case 'hosts':
      return rest === '' ? <HostsPage /> : <HostPage key={rest} host={decoded(rest)} />;
    case 'explain':
      return <ExplainPage key={rest} query={rest} />;
    case 'certificates':
      return <CertificatesPage />;
    case 'fleet':
      return <FleetPage />;
    case 'changes':
      return <ChangesPage />;
    default:
      return (
        <>
          <h1>No such page</h1>
          <p>
            There is nothing at <code>{location.hash}</code>. <a href="#/">Overview</a>
          </p>
        </>
      );
  }
}

const words = { connecting: 'connecting', live: 'live', lost: 'connection lost, trying again' } as const;

function Connection(): JSX.Element {
  const { state } = useFeed();
  return (
    <span class={`connection ${state}`} role="status">
      {words[state]}
    </span>
  );
}

function StoreNotice(): JSX.Element | null {
  const { kept } = useFeed();
  const last = kept.find(({ name }) => name === 'store');
  if (last === undefined || last.data['state'] !== 'lost') return null;
  return (
    <p class="notice bad" role="alert">
      The store cannot be reached: {String(last.data['error'])}. Traffic goes on with what was last known.
    </p>
  );
}
