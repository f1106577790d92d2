import type { JSX } from 'preact';
import { useState } from 'preact/hooks';

/** @param detail why the last token was refused; null if none was given. */
export function SignIn({
  detail,
  onToken,
}: {
  readonly detail: string | null;
  readonly onToken: (token: string) => void;
}): JSX.Element {
  const [token, setToken] = useState('');
  const submit = (event: Event): void => {
    event.preventDefault();
    if (token.trim() !== '') onToken(token.trim());
  };
  return (
    <main class="sign-in">
      <h1>Hipache</h1>
      <form onSubmit={submit}>
        <label for="token">Token of the admin API</label>
        <input
          id="token"
          type="password"
          autocomplete="off"
          value={token}
          onInput={(event) => setToken(event.currentTarget.value)}
        />
        <button type="submit">Sign in</button>
        {detail !== null && (
          <p class="bad" role="alert">
            {detail}
          </p>
        )}
        <p class="hint">
          <code>hipache admin token NAME</code> makes one. It is kept until this tab is closed.
        </p>
      </form>
    </main>
  );
}
