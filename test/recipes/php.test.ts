import assert from 'node:assert/strict';
import { existsSync, globSync, writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { itKnowsItsClients, itTakesUploads, seen } from './clients.ts';
import { startNginx } from './nginx.ts';
import { Recipe, schemes } from './recipe.ts';

describe('PHP-FPM behind nginx', () => {
  const recipe = new Recipe('PHP-FPM behind nginx');

  before(async () => {
    const folder = recipe.copy('php');
    recipe.write('php/folder/index.html', 'a page');
    const socket = recipe.path('php.sock');
    const user = process.getuid?.() === 0 ? 'user = root\ngroup = root' : '';
    const pool = `[global]
daemonize = no
error_log = ${recipe.path('fpm.log')}
[www]
${user}
listen = ${socket}
pm = static
pm.max_children = 2
`;
    const files = [
      '--fpm-config',
      recipe.write('fpm.conf', pool),
      '-c',
      recipe.write('php.ini', recipe.block('php.ini')),
    ];
    const [program = ''] = globSync('/usr/sbin/php-fpm?*');
    await recipe.launch(program, [...files, '--allow-to-run-as-root'], () => existsSync(socket));
    const server = (own: string) => `
      root ${folder};
      location / { try_files $uri $uri/ /index.php$is_args$args; }
      location ~ \\.php$ {
        include /etc/nginx/fastcgi_params;
        fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
        fastcgi_pass unix:${socket};
        ${own}
      }`;
    const app = await startNginx(recipe, recipe.block('http.conf'), server(recipe.block('location.conf')));
    const stock = await startNginx(recipe, '', server(''), 'stock');
    await recipe.serve({ 'app.example': [app], 'stock.example': [stock] });
  });

  after(() => recipe.stop());

  itKnowsItsClients(recipe);
  itTakesUploads(recipe);

  for (const scheme of schemes) {
    it(`gives PHP the scheme and port of ${scheme}`, async () => {
      assert.equal((await recipe.curl(`${recipe.url(scheme)}/server`)).body, recipe.url(scheme));
    });

    it(`nginx itself redirects over ${scheme} to where the client is`, async () => {
      const { status, headers } = await recipe.curl(`${recipe.url(scheme)}/folder`);
      assert.equal(`${status} ${headers.get('location')}`, '301 /folder/');
    });

    it(`takes a large upload over ${scheme}`, async () => {
      const file = recipe.path('upload');
      writeFileSync(file, Buffer.alloc(20_000_000));
      assert.equal((await recipe.curl(`${recipe.url(scheme)}/upload`, '--form', `file=@${file}`)).body, '20000000');
    });
  }

  it('without the settings takes HTTPS for HTTP, Hipache for the client, and refuses uploads', async () => {
    const base = recipe.url('https', 'stock.example');
    const { url, address } = await seen(recipe, 'https', 'stock.example');
    // With or without the port: the fastcgi_params of Debian have HTTP_HOST, others do not.
    assert.match(`${url} ${address}`, /^http:\/\/stock\.example(:\d+)?\/who 127\.0\.0\.1$/);
    const { status } = await recipe.curl(`${base}/upload`, '--data-binary', `@${recipe.path('upload')}`);
    assert.equal(status, 413);
  });
});
