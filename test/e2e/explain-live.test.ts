import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { ask } from '../helpers/http-client.ts';
import { metricsUrl } from '../helpers/metrics.ts';

describe('hipache explain', () => {
  let home: HipacheHome;
  let proxy: HipacheProcess;
  let backend: HttpBackend;
  let metrics: string;

  before(async () => {
    home = new HipacheHome();
    backend = await HttpBackend.start('ok');
    home.configure({ metrics: { port: 0 } }, { workers: 2 });
    proxy = await home.serve();
    metrics = metricsUrl(proxy.output).replace('/metrics', '');
    await home.route('set', 'a.example', backend.url, '--wait=20');
  });

  after(async () => {
    await home.remove();
    await backend.stop();
  });

  const explain = async (...args: string[]) => {
    const { code, stderr, stdout } = await home.run('explain', ...args);
    return { code, stderr, stdout };
  };
  const set = async (...args: string[]): Promise<void> => {
    const { code, stderr } = await home.run('option', 'set', 'a.example', ...args, '--wait=20');
    assert.equal(code, 0, stderr);
  };

  it('says which backend is chosen, and why', async () => {
    assert.match((await explain('a.example')).stdout, /^chosen +http:\S+, because it is the only one$/m);
    await home.route('add', 'a.example', 'http://127.0.0.1:9', 'http://127.0.0.1:10', '--wait=20');
    assert.match((await explain('a.example')).stdout, /^chosen +of two at random, the one with fewer requests/m);
    await set('balance', 'hash', 'hashBy', 'header:X-User');
    const of = async (user: string) => {
      const { stdout } = await explain('a.example', '-H', `X-User: ${user}`, '--json');
      return JSON.parse(stdout).chosen.url;
    };
    const urls = new Set(await Promise.all(Array.from({ length: 12 }, (_, i) => of(`user ${i}`))));
    assert.ok(urls.size > 1 && !urls.has(null));
    assert.equal(await of('ann'), await of('ann'));
    await home.route('set', 'a.example', backend.url, '--wait=20');
  });

  it('says that the request waits, and why', async () => {
    await set('pause', 'on');
    const paused = await explain('a.example', '--live', metrics);
    assert.match(paused.stdout, /^waits +up to 30s, because the host is paused$/m);
    assert.doesNotMatch(paused.stdout, /^chosen/m);
    assert.match(paused.stdout, /^worker 1 .*; it waits up to 30s, because the host is paused$/m);
    await home.run('resume', 'a.example');
    await home.route('set', 'a.example', '--empty');
    await set('hold', '2m');
    const asleep = await explain('a.example', '--json', '--live', metrics);
    const held = { because: 'because no backend is there', forMs: 120_000 };
    assert.deepEqual(JSON.parse(asleep.stdout).held, held);
    assert.deepEqual(JSON.parse(asleep.stdout).live[0].held, held);
    assert.equal((await home.run('option', 'unset', 'a.example', 'hold')).code, 0);
    await home.route('set', 'a.example', backend.url, '--wait=20');
    assert.equal(JSON.parse((await explain('a.example', '--json')).stdout).held, null);
  });

  it('asks every worker of a running instance with --live', async () => {
    await set('rate', '5/h', 'rateBurst', '5', 'requestsMax', '7');
    assert.equal((await ask(proxy.port, 'a.example')).status, 200);
    const { code, stderr, stdout } = await explain('a.example/x', '--client', '127.0.0.1', '--live', metrics);
    assert.equal(code, 0, stderr);
    assert.match(
      stdout,
      /^worker 1 +serves a\.example; 0 of 7 requests, 0 of \d+ tunnels; the client may make \d requests now; chosen http/m,
    );
    assert.match(stdout, /^worker 2 /m);
    const { live } = JSON.parse(
      (await explain('a.example', '--client', '127.0.0.1', '--live', metrics, '--json')).stdout,
    );
    const tokens = live.map((worker: { tokens: number }) => worker.tokens);
    assert.deepEqual(tokens.toSorted(), [4, 5], 'one of the workers has served a request of this client');
    assert.deepEqual(live[0].backends, [{ url: backend.url, inFlight: 0, dead: null }]);
  });

  it('says so if the instance cannot be asked', async () => {
    const none = await explain('a.example', '--live');
    assert.deepEqual([none.code, /leaves metrics\.port to the system/.test(none.stderr)], [2, true]);
    const away = await explain('a.example', '--live', 'http://127.0.0.1:9');
    assert.deepEqual([away.code, away.stdout], [1, '']);
    assert.match(away.stderr, /no answer from the instance at http:\/\/127\.0\.0\.1:9: /);
    const wrong = await fetch(`${metrics}/explain?question=x`);
    assert.equal(wrong.status, 400);
    const odd = await fetch(`${metrics}/explain?question=${encodeURIComponent('{"host":5}')}`);
    assert.deepEqual([odd.status, await odd.json()], [200, []]);
  });
});
