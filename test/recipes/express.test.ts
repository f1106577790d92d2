import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { itKnowsItsClients, itTakesUploads, seen } from './clients.ts';
import { install, installMs } from './npm-application.ts';
import { Recipe } from './recipe.ts';

describe('Express', () => {
  const recipe = new Recipe('Express');

  before(
    async () => {
      const settings = `export default function configure(app) {\n${recipe.block('app.js')}}\n`;
      const cwd = await install('express', { 'settings.js': settings });
      const start = (env: Readonly<Record<string, string>>) =>
        recipe.start(process.execPath, () => ['app.js'], { cwd, env });
      const [app, stock] = await Promise.all([start({}), start({ STOCK: '1' })]);
      await recipe.serve({ 'app.example': [app], 'stock.example': [stock] });
    },
    { timeout: installMs },
  );

  after(() => recipe.stop());

  itKnowsItsClients(recipe);
  itTakesUploads(recipe);

  it('sets its session cookie over HTTPS, and without the setting never', async () => {
    const cookie = async (host: string) =>
      (await recipe.curl(`${recipe.url('https', host)}/who`)).headers.get('set-cookie');
    assert.match((await cookie('app.example')) ?? '', /^connect\.sid=.*; Secure$/);
    assert.equal(await cookie('stock.example'), null);
  });

  it('takes HTTPS for HTTP, and Hipache for the client, without the setting', async () => {
    const url = `${recipe.url('https', 'stock.example').replace('https', 'http')}/who`;
    assert.deepEqual(await seen(recipe, 'https', 'stock.example'), { url, address: '127.0.0.1' });
  });
});
