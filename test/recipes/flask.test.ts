import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { itKnowsItsClients, itTakesUploads, seen } from './clients.ts';
import { Recipe } from './recipe.ts';

describe('Flask', () => {
  const recipe = new Recipe('Flask');

  before(async () => {
    const cwd = recipe.copy('flask');
    const text = `import app\n\napp = app.app\n`;
    recipe.write('flask/fixed.py', `${text}${recipe.block('app.py')}`);
    const start = (application: string) =>
      recipe.start('gunicorn', (port) => ['--bind', `127.0.0.1:${port}`, application], { cwd });
    const [fixed, stock] = await Promise.all([start('fixed:app'), start('app:app')]);
    await recipe.serve({ 'app.example': [fixed], 'stock.example': [stock] });
  });

  after(() => recipe.stop());

  itKnowsItsClients(recipe);
  itTakesUploads(recipe);

  it('takes Hipache for the client without ProxyFix', async () => {
    assert.equal((await seen(recipe, 'https', 'stock.example')).address, '127.0.0.1');
  });
});
