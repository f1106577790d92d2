import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { startNginx } from './nginx.ts';
import { clientAddress, Recipe, schemes } from './recipe.ts';

const modules = ['mpm_event', 'authz_core', 'dir', 'headers', 'remoteip', 'setenvif'];

describe('Redirects to a backend itself', () => {
  const recipe = new Recipe('Redirects to a backend itself');
  let nginx = 0;

  before(async () => {
    recipe.write('www/folder/index.html', 'a page');
    // Apache reads it as another user.
    chmodSync(recipe.path(), 0o755);
    const root = `root ${recipe.path('www')};`;
    nginx = await startNginx(recipe, '', root);
    const fixed = await startNginx(recipe, recipe.block('nginx.conf'), root, 'fixed');
    const noPort = await startNginx(recipe, 'port_in_redirect off;', root, 'no-port');
    const apache = await startApache(
      'apache',
      recipe.block('apache.conf').replace('app.example.com', 'apache.example'),
    );
    const canonical = await startApache('canonical', 'ServerName own.example\nUseCanonicalName On\n');
    await recipe.serve({
      'stock.example': [nginx],
      'app.example': [fixed],
      'no-port.example': [noPort],
      'apache.example': [apache],
      'canonical.example': [canonical],
    });
  });

  after(() => recipe.stop());

  function startApache(name: string, settings: string): Promise<number> {
    const load = modules.map((module) => `LoadModule ${module}_module /usr/lib/apache2/modules/mod_${module}.so\n`);
    const file = (port: number): string =>
      recipe.write(
        `${name}.conf`,
        `ServerRoot ${recipe.path()}
PidFile ${name}.pid
ErrorLog ${name}.err
Listen 127.0.0.1:${port}
${process.getuid?.() === 0 ? 'User nobody\nGroup nogroup' : ''}
DocumentRoot www
${load.join('')}
Header always set X-Address "expr=%{REMOTE_ADDR}"
Header always set X-Https "%{HTTPS}e"
${settings}`,
      );
    return recipe.start('apache2', (port) => ['-f', file(port), '-DFOREGROUND']);
  }

  async function locationOf(url: string): Promise<string | null> {
    const { status, headers } = await recipe.curl(`${url}/folder`);
    assert.equal(status, 301);
    return headers.get('location');
  }

  for (const scheme of schemes) {
    it(`nginx redirects over ${scheme} to its own scheme and port`, async () => {
      const location = await locationOf(recipe.url(scheme, 'stock.example'));
      assert.equal(location, `http://stock.example:${nginx}/folder/`);
    });

    it(`nginx with port_in_redirect off redirects over ${scheme} to port 80`, async () => {
      assert.equal(await locationOf(recipe.url(scheme, 'no-port.example')), 'http://no-port.example/folder/');
    });

    it(`nginx with absolute_redirect off redirects over ${scheme} to a path`, async () => {
      assert.equal(await locationOf(recipe.url(scheme)), '/folder/');
    });

    it(`Apache with UseCanonicalName redirects over ${scheme} to its own name`, async () => {
      assert.match((await locationOf(recipe.url(scheme, 'canonical.example'))) ?? '', /^http:\/\/own\.example[:/]/);
    });
  }

  it('Apache with the settings redirects to the URL that the client used, over HTTPS', async () => {
    const url = recipe.url('https', 'apache.example');
    assert.equal(await locationOf(url), `${url}/folder/`);
  });

  it('Apache with the settings knows the client and its scheme', async () => {
    for (const [scheme, expected] of [
      ['http', '(null)'],
      ['https', 'on'],
    ] as const) {
      const { headers } = await recipe.curl(`${recipe.url(scheme, 'apache.example')}/`);
      assert.equal(`${headers.get('x-address')} ${headers.get('x-https')}`, `${clientAddress} ${expected}`);
    }
  });
});
