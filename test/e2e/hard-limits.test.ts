import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { HipacheHome } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { ask } from '../helpers/http-client.ts';
import { RawClient } from '../helpers/raw-client.ts';
import { until } from '../helpers/until.ts';

describe('a proxy that runs out of descriptors', () => {
  let home: HipacheHome;
  let backend: HttpBackend;

  beforeEach(async () => {
    home = new HipacheHome();
    home.configure();
    backend = await HttpBackend.start('fine');
    await home.route('set', 'a.example', backend.url);
  });

  afterEach(async () => {
    await home.remove();
    await backend.stop();
  });

  it('is warned of at the start, with the setting to raise', async () => {
    const text =
      /too few descriptors: the limit of (\d+) leaves a worker \d+ for .* raise it \(ulimit -n, LimitNOFILE=\)/;
    const few = await home.serve(64);
    await until('the warning', () => text.exec(few.output)?.[1] === '64');
    const enough = await home.serve(1024);
    assert.equal((await ask(enough.port, 'a.example')).body, 'fine');
    assert.doesNotMatch(enough.output, text);
  });

  it('continues, marks no backend, and serves again once some are free', async () => {
    const proxy = await home.serve(64);
    assert.equal((await ask(proxy.port, 'a.example')).body, 'fine');
    const clients = await Promise.all(Array.from({ length: 100 }, () => RawClient.connect(proxy.port)));
    for (const client of clients) client.send('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n');
    await until('every client to get a response or its end', () =>
      clients.every((client) => client.closed || client.ended || client.statuses.length > 0),
    );
    assert.ok(clients.some((client) => !client.statuses.includes(200)));
    for (const client of clients) client.close();
    await until('a response', async () => (await ask(proxy.port, 'a.example').catch(() => null))?.body === 'fine');
    const { stdout } = await home.run('explain', 'a.example', '--json');
    assert.doesNotMatch(stdout, /OVERLOADED|REFUSED/);
    assert.equal(proxy.child.exitCode, null);
  });
});
