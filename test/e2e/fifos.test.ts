import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { HipacheHome } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { ask } from '../helpers/http-client.ts';
import { until } from '../helpers/until.ts';

describe('a FIFO without a reader or a writer', () => {
  let home: HipacheHome;
  let backend: HttpBackend;

  beforeEach(async () => {
    home = new HipacheHome();
    backend = await HttpBackend.start('one');
  });

  afterEach(async () => {
    await home.remove();
    await backend.stop();
  });

  it('in place of the access log blocks neither a worker that opens it again nor one that starts', async () => {
    home.configure({}, { workers: 2 });
    await home.route('set', 'a.example', backend.url);
    const proxy = await home.serve();
    assert.equal((await ask(proxy.port, 'a.example')).status, 200);
    renameSync(home.path('access.log'), home.path('access.log.1'));
    execFileSync('mkfifo', [home.path('access.log')]);
    proxy.signal('SIGUSR1');
    await until('both workers to say so', () => proxy.output.split('FIFO without a reader').length === 3);
    for (let count = 0; count < 10; count++) assert.equal((await ask(proxy.port, 'a.example')).status, 200);
    const second = await home.serve();
    assert.equal((await ask(second.port, 'a.example')).status, 200);
    second.signal('SIGTERM');
    assert.equal(await second.ended(), 0);
  });

  it('in place of an error page is reported, and blocks nothing', async () => {
    mkdirSync(home.path('pages'));
    writeFileSync(home.path('pages/error_400.html'), 'the page');
    home.configure({}, { workers: 1, staticDir: home.path('pages') });
    const proxy = await home.serve();
    assert.equal((await ask(proxy.port, 'a.example')).body, 'the page');
    execFileSync('mkfifo', [home.path('pages/error_502.html')]);
    await until('the problem', () => /ignoring page .*error_502.html: it is not a regular file/.test(proxy.output));
    assert.equal((await ask(proxy.port, 'a.example')).body, 'the page');
    writeFileSync(home.path('pages/error_400.html'), 'another page');
    await until('the change', async () => (await ask(proxy.port, 'a.example')).body === 'another page');
  });

  it('in place of a certificate or of the authorities of backends is refused at the start', async () => {
    execFileSync('mkfifo', [home.path('file.pem')]);
    const fifo = home.path('file.pem');
    home.configure({ backendTls: { ca: [fifo] } });
    await assert.rejects(home.serve(), /backendTls.ca: .*not a regular file/);
    home.configure({ https: { bind: [{ address: '127.0.0.1', port: 0, cert: fifo, key: fifo }] } });
    const { code, stderr } = await home.run('--dry');
    assert.notEqual(code, 0);
    assert.match(stderr, /file\.pem cannot be read: it is not a regular file/);
  });
});
