import assert from 'node:assert/strict';
import { it } from 'node:test';
import { clientAddress, type Recipe, type Scheme, schemes } from './recipe.ts';

/** What `/who` of an application says: the URL that it builds for this page, and the address of its client. */
export interface Seen {
  readonly url: string;
  readonly address: string;
}

const uploadBytes = 20_000_000;

/** Options of curl for fields by which a client claims to be another one, or to use the other scheme. */
function forged(scheme: Scheme): string[] {
  const other = scheme === 'http' ? 'https' : 'http';
  const fields = [
    `Forwarded: for=192.0.2.1;host=forged.example;proto=${other}`,
    ...['Client-Ip', 'X-Forwarded-For', 'X-Real-Ip'].map((name) => `${name}: 192.0.2.1`),
    ...['X-Forwarded-Proto', 'X-Forwarded-Protocol', 'X-Forwarded-Scheme'].map((name) => `${name}: ${other}`),
    `X-Forwarded-Ssl: ${scheme === 'http' ? 'on' : 'off'}`,
    ...['X-Forwarded-Host: forged.example', 'X-Forwarded-Port: 1'],
  ];
  return fields.flatMap((field) => ['--header', field]);
}

export async function seen(recipe: Recipe, scheme: Scheme, host?: string, ...more: readonly string[]): Promise<Seen> {
  const { status, body } = await recipe.curl(`${recipe.url(scheme, host)}/who`, ...more);
  assert.equal(status, 200, body);
  return JSON.parse(body);
}

/** Tests of an application that has `/who`, and `/old`, which redirects to `/new`. */
export function itKnowsItsClients(recipe: Recipe): void {
  for (const scheme of schemes) {
    const expected = (): Seen => ({ url: `${recipe.url(scheme)}/who`, address: clientAddress });

    it(`knows over ${scheme} its own URL and the client`, async () => {
      assert.deepEqual(await seen(recipe, scheme), expected());
    });

    it(`believes no claims of a client over ${scheme}`, async () => {
      assert.deepEqual(await seen(recipe, scheme, undefined, ...forged(scheme)), expected());
    });

    it(`redirects over ${scheme} to the URL that the client used`, async () => {
      const { status, headers } = await recipe.curl(`${recipe.url(scheme)}/old`);
      assert.ok(status === 301 || status === 302 || status === 307, String(status));
      assert.equal(headers.get('location'), `${recipe.url(scheme)}/new`);
    });
  }
}

/** Tests of an application whose `/upload` says how many bytes it got. @param chunked how many of a body without length. */
export function itTakesUploads(recipe: Recipe, chunked = uploadBytes): void {
  for (const scheme of schemes) {
    it(`takes a large upload over ${scheme}, with its length and in chunks`, async () => {
      const file = recipe.write('upload', 'x'.repeat(uploadBytes));
      const send = ['--header', 'Content-Type: application/octet-stream', '--data-binary', `@${file}`];
      const url = `${recipe.url(scheme)}/upload`;
      assert.equal((await recipe.curl(url, ...send)).body, String(uploadBytes));
      // HTTP/2 has no chunks, and refuses the field.
      const inChunks = ['--http1.1', '--header', 'Transfer-Encoding: chunked'];
      assert.equal((await recipe.curl(url, ...send, ...inChunks)).body, String(chunked));
    });
  }
}
