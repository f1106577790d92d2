import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { WebSocket } from 'ws';
import { itKnowsItsClients, itTakesUploads, seen } from './clients.ts';
import { Recipe, schemes } from './recipe.ts';

describe('Rails', () => {
  const recipe = new Recipe('Rails');

  before(async () => {
    const cwd = recipe.copy('rails');
    recipe.write('rails/fixed.rb', recipe.block('production.rb'));
    recipe.write('rails/redirecting.rb', 'Rails.application.config.force_ssl = true\n');
    recipe.write('rails/stock.rb', '');
    const ports = ['fixed', 'redirecting', 'stock'].map((settings) =>
      recipe.start('puma', (port) => ['--bind', `tcp://127.0.0.1:${port}`, 'config.ru'], {
        cwd,
        env: { RAILS_ENV: 'production', SETTINGS: `./${settings}` },
      }),
    );
    const [app = 0, redirecting = 0, stock = 0] = await Promise.all(ports);
    await recipe.serve({ 'app.example': [app], 'redirecting.example': [redirecting], 'stock.example': [stock] });
  });

  after(() => recipe.stop());

  itKnowsItsClients(recipe);
  itTakesUploads(recipe);

  for (const scheme of schemes) {
    it(`accepts a form over ${scheme}, and not that of another site`, async () => {
      const url = recipe.url(scheme);
      const jar = recipe.path('cookies');
      const { body: token } = await recipe.curl(`${url}/form`, '--cookie-jar', jar);
      const submit = (origin: string) => {
        const data = ['--header', `Origin: ${origin}`, '--data-urlencode', `authenticity_token=${token}`];
        return recipe.curl(`${url}/form`, '--cookie', jar, ...data);
      };
      assert.equal((await submit(url)).body, 'accepted');
      assert.equal((await submit('https://forged.example')).status, 422);
    });

    it(`opens a WebSocket of Action Cable over ${scheme}, and not to another site`, async () => {
      assert.equal(await connect(recipe.url(scheme)), 'welcome');
      assert.equal(await connect('https://forged.example'), '404');
    });

    /** The first message of Action Cable to a page with this origin, or the status that refuses it. */
    function connect(origin: string): Promise<string> {
      const { host, port } = new URL(recipe.url(scheme));
      const url = `${scheme.replace('http', 'ws')}://127.0.0.1:${port}/cable`;
      // The types of ws lack the name that TLS checks.
      const tls: object = { ca: recipe.authority.certificate, servername: 'app.example' };
      const socket = new WebSocket(url, ['actioncable-v1-json'], { origin, headers: { host }, ...tls });
      return new Promise((resolve, reject) => {
        socket.once('message', (data: Buffer) => {
          resolve(JSON.parse(data.toString()).type);
          socket.terminate();
        });
        socket.once('unexpected-response', (_request, response) => {
          response.resume();
          resolve(String(response.statusCode));
        });
        socket.once('error', reject);
      });
    }
  }

  it('with force_ssl redirects HTTP, and does not redirect HTTPS', async () => {
    const { status, headers } = await recipe.curl(`${recipe.url('http', 'redirecting.example')}/who`);
    assert.equal(status, 301);
    assert.match(headers.get('location') ?? '', /^https:\/\/redirecting\.example:\d+\/who$/);
    await seen(recipe, 'https', 'redirecting.example');
    const form = await recipe.curl(`${recipe.url('https', 'redirecting.example')}/form`);
    assert.match(form.headers.get('set-cookie') ?? '', /; secure/i);
  });

  it('without the setting knows the client too', async () => {
    const expected = { url: `${recipe.url('https', 'stock.example')}/who`, address: '127.0.0.7' };
    assert.deepEqual(await seen(recipe, 'https', 'stock.example'), expected);
  });

  for (const host of ['app.example', 'stock.example']) {
    it(`does not get the field Client-Ip of a client, to which it would respond with 500: ${host}`, async () => {
      const { address } = await seen(recipe, 'https', host, '--header', 'Client-Ip: 192.0.2.1');
      assert.equal(address, '127.0.0.7');
    });
  }
});
