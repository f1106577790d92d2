import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { itKnowsItsClients, itTakesUploads, seen } from './clients.ts';
import { Recipe, type RecipeResponse } from './recipe.ts';

describe('Django', () => {
  const recipe = new Recipe('Django');

  before(async () => {
    const cwd = recipe.copy('django');
    recipe.write('django/client_address.py', recipe.block('client_address.py'));
    const stock = readFileSync(recipe.path('django/settings.py'), 'utf8');
    const fixed = stock + recipe.block('settings.py').replace("'.example.com'", "'.example'");
    recipe.write('django/fixed.py', fixed);
    recipe.write('django/redirecting.py', `${fixed}SECURE_SSL_REDIRECT = True\n`);
    // A gunicorn that does not say by itself what Hipache says.
    const own = ['--forwarded-allow-ips', '192.0.2.1', 'django.core.wsgi:get_wsgi_application()'];
    const ports = ['fixed', 'settings', 'redirecting'].map((settings) =>
      recipe.start('gunicorn', (port) => ['--bind', `127.0.0.1:${port}`, ...own], {
        cwd,
        env: { DJANGO_SETTINGS_MODULE: settings },
      }),
    );
    const [app = 0, plain = 0, redirecting = 0] = await Promise.all(ports);
    await recipe.serve({ 'app.example': [app], 'stock.example': [plain], 'redirecting.example': [redirecting] });
  });

  after(() => recipe.stop());

  itKnowsItsClients(recipe);
  itTakesUploads(recipe, 0);

  /** What a browser does with a form: the page sets a cookie and has a token, which come back together. */
  async function submit(host: string): Promise<RecipeResponse> {
    const url = recipe.url('https', host);
    const jar = recipe.path('cookies');
    const { body: token } = await recipe.curl(`${url}/form`, '--cookie-jar', jar);
    const fields = ['--header', `Origin: ${url}`, '--referer', `${url}/form`, '--data', `csrfmiddlewaretoken=${token}`];
    return recipe.curl(`${url}/form`, '--cookie', jar, ...fields);
  }

  it('accepts a form over HTTPS, with a cookie for HTTPS alone', async () => {
    const { headers } = await recipe.curl(`${recipe.url('https')}/form`);
    assert.match(headers.get('set-cookie') ?? '', /^csrftoken=.*; Secure/);
    const { status, body } = await submit('app.example');
    assert.equal(`${status} ${body}`, '200 accepted');
  });

  it('refuses a form from another site', async () => {
    const url = recipe.url('https');
    const jar = recipe.path('cookies');
    const { body: token } = await recipe.curl(`${url}/form`, '--cookie-jar', jar);
    const data = ['--data', `csrfmiddlewaretoken=${token}`, '--referer', 'https://forged.example/', '--cookie', jar];
    assert.equal((await recipe.curl(`${url}/form`, ...data)).status, 403);
  });

  it('with SECURE_SSL_REDIRECT redirects HTTP, and does not redirect HTTPS', async () => {
    const { status, headers } = await recipe.curl(`${recipe.url('http', 'redirecting.example')}/who`);
    assert.equal(status, 301);
    assert.match(headers.get('location') ?? '', /^https:\/\/redirecting\.example:\d+\/who$/);
    await seen(recipe, 'https', 'redirecting.example');
  });

  it('takes HTTPS for HTTP, and Hipache for the client, without the settings', async () => {
    const url = `${recipe.url('https', 'stock.example').replace('https', 'http')}/who`;
    assert.deepEqual(await seen(recipe, 'https', 'stock.example'), { url, address: '127.0.0.1' });
  });
});
