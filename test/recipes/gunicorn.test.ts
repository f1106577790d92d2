import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { itKnowsItsClients, itTakesUploads, seen } from './clients.ts';
import { clientAddress, Recipe } from './recipe.ts';

describe('gunicorn', () => {
  const recipe = new Recipe('gunicorn');

  before(async () => {
    const cwd = recipe.copy('gunicorn');
    const config = recipe.write('gunicorn.conf.py', recipe.block('gunicorn.conf.py'));
    const bind = (port: number): string[] => ['--bind', `127.0.0.1:${port}`];
    const ports = await Promise.all([
      recipe.start('gunicorn', (port) => ['--config', config, ...bind(port), 'app:app'], { cwd }),
      recipe.start('gunicorn', (port) => [...bind(port), '--forwarded-allow-ips', '192.0.2.1', 'app:app'], { cwd }),
      recipe.start('gunicorn', (port) => [...bind(port), 'app:app'], { cwd }),
    ]);
    const hosts = ['app.example', 'elsewhere.example', 'stock.example'];
    await recipe.serve(Object.fromEntries(hosts.map((host, at) => [host, ports.slice(at, at + 1)])));
  });

  after(() => recipe.stop());

  itKnowsItsClients(recipe);
  itTakesUploads(recipe);

  it('serves other requests during a slow upload', async () => {
    const { port } = new URL(recipe.url('http'));
    const socket = connect(Number(port), '127.0.0.1');
    try {
      // More than Hipache waits for before it asks a backend.
      const begun = `POST /upload HTTP/1.1\r\nHost: app.example\r\nContent-Length: 50000\r\n\r\n${'x'.repeat(40_000)}`;
      await new Promise<void>((resolve) => socket.write(begun, () => resolve()));
      for (let requests = 0; requests < 20; requests++) await seen(recipe, 'http', undefined, '--max-time', '10');
    } finally {
      socket.destroy();
    }
  });

  it('trusts a Hipache on the same machine by default', async () => {
    const url = `${recipe.url('https', 'stock.example')}/who`;
    assert.deepEqual(await seen(recipe, 'https', 'stock.example'), { url, address: clientAddress });
  });

  it('takes HTTPS for HTTP if Hipache has an address that is not allowed', async () => {
    const url = `${recipe.url('https', 'elsewhere.example').replace('https', 'http')}/who`;
    assert.deepEqual(await seen(recipe, 'https', 'elsewhere.example'), { url, address: clientAddress });
  });
});
