import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { globSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { itKnowsItsClients, itTakesUploads, seen } from './clients.ts';
import { Recipe } from './recipe.ts';

describe('Spring', () => {
  const recipe = new Recipe('Spring');

  before(async () => {
    const folder = recipe.copy('spring');
    const [, strategy = ''] =
      /^server\.forward-headers-strategy=(\w+)$/m.exec(recipe.block('application.properties')) ?? [];
    const libraries = ['spring3-*.jar', 'tomcat9-*.jar', 'commons-logging.jar'];
    const jars = libraries.flatMap((name) => globSync(`/usr/share/java/${name}`));
    await promisify(execFile)('javac', ['-cp', jars.join(':'), '-d', folder, `${folder}/App.java`]);
    const start = (mode: string) =>
      recipe.start('java', (port) => [
        '-cp',
        [folder, ...jars].join(':'),
        'App',
        String(port),
        mode,
        recipe.path(mode),
      ]);
    const [app, framework, stock] = await Promise.all([start(strategy), start('framework'), start('none')]);
    await recipe.serve({ 'app.example': [app], 'framework.example': [framework], 'stock.example': [stock] });
  });

  after(() => recipe.stop());

  itKnowsItsClients(recipe);
  itTakesUploads(recipe);

  it('protects its session cookie over HTTPS', async () => {
    const { headers } = await recipe.curl(`${recipe.url('https')}/who`);
    assert.match(headers.get('set-cookie') ?? '', /^JSESSIONID=.*; Secure/);
  });

  it('builds the same URLs with the filter of Spring', async () => {
    const { url } = await seen(recipe, 'https', 'framework.example');
    assert.equal(url, `${recipe.url('https', 'framework.example')}/who`);
  });

  it('redirects to a path without the setting too', async () => {
    const { status, headers } = await recipe.curl(`${recipe.url('https', 'stock.example')}/path`);
    assert.equal(`${status} ${headers.get('location')}`, '302 /new');
  });

  it('takes HTTPS for HTTP, and Hipache for the client, without the setting', async () => {
    const url = `${recipe.url('https', 'stock.example').replace('https', 'http')}/who`;
    assert.deepEqual(await seen(recipe, 'https', 'stock.example'), { url, address: '127.0.0.1' });
  });
});
