import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { itKnowsItsClients, itTakesUploads } from './clients.ts';
import { install, installMs } from './npm-application.ts';
import { Recipe, type RecipeResponse, schemes } from './recipe.ts';

describe('Next.js', () => {
  const recipe = new Recipe('Next.js');
  let port = 0;

  before(
    async () => {
      const cwd = await install('next', { 'app/origin.js': recipe.block('app/origin.js') });
      const next = 'node_modules/next/dist/bin/next';
      const args = (free: number) => [next, 'start', '--hostname', '127.0.0.1', '--port', String(free)];
      port = await recipe.start(process.execPath, args, { cwd, env: { NEXT_TELEMETRY_DISABLED: '1' } });
      await recipe.serve({ 'app.example': [port] });
    },
    { timeout: installMs },
  );

  after(() => recipe.stop());

  itKnowsItsClients(recipe);
  itTakesUploads(recipe);

  for (const scheme of schemes) {
    it(`does a server action over ${scheme}, and not one that another site asks for`, async () => {
      const url = recipe.url(scheme);
      const [action] = /\$ACTION_ID_[0-9a-f]+/.exec((await recipe.curl(url)).body) ?? [];
      const submit = (origin: string): Promise<RecipeResponse> =>
        recipe.curl(url, '--header', `Origin: ${origin}`, '--form', `${action}=`);
      const { status, headers } = await submit(url);
      assert.equal(`${status} ${headers.get('location')}`, '303 /new');
      assert.equal((await submit('https://forged.example')).status, 500);
    });

    it(`has another host in request.url over ${scheme}`, async () => {
      assert.equal((await recipe.curl(`${recipe.url(scheme)}/url`)).body, `${scheme}://localhost:${port}/url`);
    });

    it(`redirects over ${scheme} to a path, and in the proxy of Next.js, without knowing the host`, async () => {
      for (const path of ['/path', '/proxied']) {
        const { headers } = await recipe.curl(recipe.url(scheme) + path);
        assert.equal(headers.get('location'), '/new', path);
      }
    });
  }
});
