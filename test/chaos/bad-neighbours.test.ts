import assert from 'node:assert/strict';
import { it } from 'node:test';
import { DnsServer } from '../helpers/dns-server.ts';
import { HipacheHome } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { ask } from '../helpers/http-client.ts';
import { RawClient } from '../helpers/raw-client.ts';
import { SteadyLoad } from '../helpers/steady-load.ts';
import { until } from '../helpers/until.ts';
import { workerPids } from '../helpers/workers.ts';

const served = /^HTTP\/1\.1 (\d+)/;

/** Opens connections that each send `text`, and keeps them. */
async function send(port: number, count: number, text: string): Promise<RawClient[]> {
  const clients = await Promise.all(Array.from({ length: count }, () => RawClient.connect(port)));
  for (const client of clients) client.send(text);
  return clients;
}

it('no host suffers from one whose name does not resolve, whose clients trickle or leave, or that answers 501', async (t) => {
  const names = await DnsServer.start({ 'app.test': ['127.0.0.1'] }, { unanswered: ['dead.test'] });
  t.after(() => names.remove());
  const home = new HipacheHome();
  t.after(() => home.remove());
  const backends = await Promise.all(
    Array.from({ length: 2 }, () =>
      HttpBackend.start('good', (request, response) => {
        if (request.url === '/slow') return;
        if (request.method === 'PROPFIND') response.statusCode = 501;
        request.resume().on('end', () => response.end('good'));
      }),
    ),
  );
  for (const backend of backends) t.after(() => backend.stop());
  const urls = backends.map(({ url }) => url);
  const [first = ''] = urls;
  home.configure({ dns: { servers: [names.address] } }, { workers: 2, drainSeconds: 1, deadBackendRule: 'share' });
  for (const host of ['good.example', 'slow.example', 'left.example', 'odd.example'])
    await home.route('set', host, ...urls);
  await home.route('set', 'named.example', first.replace('127.0.0.1', 'app.test'));
  await home.route('set', 'dead.example', first.replace('127.0.0.1', 'dead.test'));
  const proxy = await home.serve();
  const workers = workerPids(proxy.pid);
  for (const host of ['good.example', 'named.example']) assert.equal((await ask(proxy.port, host)).body, 'good');
  const load = new SteadyLoad(proxy.port, ['good.example', 'named.example'], 4, 2);
  t.after(() => load.stop());

  const dead = await send(proxy.port, 200, 'GET / HTTP/1.1\r\nHost: dead.example\r\n\r\n');
  const slow = await send(proxy.port, 210, 'POST / HTTP/1.1\r\nHost: slow.example\r\nContent-Length: 1000\r\n\r\nx');
  const trickle = setInterval(() => {
    for (const client of slow) client.send('x');
  }, 500);
  t.after(() => clearInterval(trickle));
  const left = await send(proxy.port, 100, 'GET /slow HTTP/1.1\r\nHost: left.example\r\n\r\n');
  await until('the slow page', () => backends.reduce((sum, { requests }) => sum + requests, 0) > 100);
  for (const { socket } of left) socket.end();
  for (let count = 0; count < 50; count++) {
    const { status } = await ask(proxy.port, 'odd.example', { method: 'PROPFIND' });
    assert.equal(status, 501);
  }
  // The slow host itself is served too, and so is the page that others have left.
  for (const host of ['slow.example', 'left.example', 'odd.example']) {
    assert.equal((await ask(proxy.port, host)).body, 'good', host);
  }
  const { answered } = load;
  await until('more of the load', () => load.answered > answered + 500 || load.failures.length > 0);
  await until('the end of the dead requests', () => dead.every(({ received }) => served.test(received)));
  for (const { statuses } of dead) assert.ok([502, 503, 504].includes(statuses[0] ?? 0), String(statuses));
  await until('the end of the slow bodies', () => slow.every(({ statuses }) => statuses[0] === 408), 40_000);
  await load.stop();
  assert.deepEqual(load.failures, []);
  assert.deepEqual(workerPids(proxy.pid), workers);
  assert.doesNotMatch(proxy.output, /is marked dead.*http:\/\/127/);
});
