import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import { freePort } from '../helpers/free-port.ts';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { ask } from '../helpers/http-client.ts';
import { type Podman, podmanOrReason } from '../helpers/podman.ts';
import { until } from '../helpers/until.ts';

/** Containers that are started and stopped for the figures. */
const rounds = 7;

const engine = await podmanOrReason();
const containerCase = { skip: typeof engine === 'string' ? engine : false };

describe('hipache docker, with containers of Podman', containerCase, () => {
  const podman = engine as Podman;
  let home: HipacheHome;
  let proxy: HipacheProcess;
  let docker: HipacheProcess;

  before(async () => {
    home = new HipacheHome();
    home.configure({}, { workers: 1 });
    proxy = await home.serve();
    docker = home.start(['docker', '--socket', podman.socket, '--source', 'one', '--network', podman.networks[0]]);
    await until('hipache docker', () => docker.output.includes('routes follow the labels'));
  });

  after(async () => {
    await home?.remove();
    await podman.remove();
  });

  async function answer(host: string): Promise<string> {
    const { body, status } = await ask(proxy.port, host);
    return status === 200 ? body.trim() : String(status);
  }

  const untilRouted = (host: string, isRouted: boolean): Promise<void> =>
    until(
      `a route of ${host}: ${isRouted}`,
      async () => ((await home.run('route', 'show', host)).code === 0) === isRouted,
    );

  const untilAnswer = async (host: string, expected: string): Promise<void> => {
    let last = '';
    try {
      await until(`${host} to answer ${expected}`, async () => {
        last = await answer(host);
        return last === expected;
      });
    } catch (error) {
      throw new Error(`${error}, not ${last}; ${(await home.run('route', 'show', host)).stdout}${docker.output}`);
    }
  };

  it('routes to a container from its start to its end, with its options', async () => {
    await podman.run('web', {
      labels: { 'hipache.host': 'web.test, www.web.test', 'hipache.option.requestsMax': '5' },
    });
    await untilAnswer('web.test', 'web');
    await untilAnswer('www.web.test', 'web');
    assert.match((await home.run('option', 'list', 'web.test')).stdout, /requestsMax = 5/);
    assert.match((await home.run('owner', 'show', 'web.test')).stdout, /owner +docker\nsources +one +http:\/\/198\./);
    await podman.pause('web', true);
    // A request to a container that is paused would wait for its end.
    await untilRouted('web.test', false);
    await podman.pause('web', false);
    await untilAnswer('web.test', 'web');
    await podman.stop('web');
    await untilAnswer('web.test', '400');
    assert.equal((await home.run('option', 'list', 'web.test')).stdout, 'web.test has no options\n');
    // It has another address now.
    await podman.start('web');
    await untilAnswer('web.test', 'web');
    await podman.delete('web');
    await untilAnswer('web.test', '400');
  });

  it('routes to a container with a health check only while it is healthy', async () => {
    const health = ['/bin/busybox', 'test', '-e', '/www/ready'];
    await podman.run('sick', { labels: { 'hipache.host': 'sick.test' }, health });
    await podman.run('well', { labels: { 'hipache.host': 'well.test' } });
    await untilAnswer('well.test', 'well');
    assert.equal(await answer('sick.test'), '400');
    podman.execute('sick', '/bin/busybox', 'touch', '/www/ready');
    podman.checkHealth('sick');
    await untilAnswer('sick.test', 'sick');
    podman.execute('sick', '/bin/busybox', 'rm', '/www/ready');
    podman.checkHealth('sick');
    await untilAnswer('sick.test', '400');
    for (const name of ['sick', 'well']) await podman.delete(name);
    await untilAnswer('well.test', '400');
  });

  it('gives a container that is asked to end no more requests, although it goes on', async () => {
    // The first process of a container ignores SIGTERM unless it says otherwise.
    const command = ['/bin/busybox', 'httpd', '-f', '-p', '8080', '-h', '/bin'];
    await podman.run('slow', { labels: { 'hipache.host': 'slow.test' }, command });
    await untilRouted('slow.test', true);
    const stopped = podman.stop('slow', 120);
    let isStopped = false;
    void stopped.then(() => {
      isStopped = true;
    });
    await untilAnswer('slow.test', '400');
    assert.equal(isStopped, false, docker.output);
    await podman.delete('slow');
    await stopped.catch(() => {});
  });

  it('uses the network and the port of the labels, or the published port', async () => {
    const port = await freePort();
    const networks = [...podman.networks].reverse();
    await podman.run('both', { labels: { 'hipache.host': 'both.test' }, networks });
    await podman.run('back', {
      labels: { 'hipache.host': 'back.test', 'hipache.network': podman.networks[1], 'hipache.port': '8080' },
      networks,
      exposed: [80, 443, 8080],
    });
    await podman.run('published', {
      labels: { 'hipache.host': 'published.test', 'hipache.published': 'true' },
      published: { [port]: 8080 },
    });
    for (const name of ['both', 'back', 'published']) await untilAnswer(`${name}.test`, name);
    const shown = (await home.run('route', 'show', 'published.test')).stdout;
    assert.match(shown, new RegExp(`http://127\\.0\\.0\\.1:${port}\\b`));
    for (const name of ['both', 'back', 'published']) await podman.delete(name);
    for (const name of ['both', 'back', 'published']) await untilAnswer(`${name}.test`, '400');
  });

  it('leaves alone what others have, and says what is wrong', async () => {
    await home.route('set', 'hand.test', 'http://127.0.0.1:1');
    await podman.run('claims', { labels: { 'hipache.host': 'hand.test' } });
    await podman.run('typo', { labels: { 'hipache.hots': 'typo.test' } });
    await podman.run('many', { labels: { 'hipache.host': 'many.test' }, exposed: [80, 8080] });
    await until('the reasons', () =>
      [
        'made by hand host=hand.test',
        'did you mean hipache.host? container=typo',
        'ports 80, 8080; set the label',
      ].every((text) => docker.output.includes(text)),
    );
    assert.match(await home.route('show', 'hand.test'), /http:\/\/127\.0\.0\.1:1\b/);
    const once = await home.run('docker', '--socket', podman.socket, '--source', 'other', '--owner', 'other', '--once');
    assert.equal(once.code, 2);
    assert.match(once.stderr, /container typo: there is no label hipache\.hots/);
    assert.match(once.stderr, /the labels of 2 containers are wrong/);
    assert.match(once.stdout, /hand\.test: refused: it has a route that was made by hand/);
    for (const name of ['claims', 'typo', 'many']) await podman.delete(name);
    await home.run('owner', 'forget', 'other', 'other');
    await home.route('remove', 'hand.test');
  });

  it('leaves routes as they are while the API is away, and restarts exactly', async () => {
    await podman.run('stays', { labels: { 'hipache.host': 'stays.test' } });
    await podman.run('goes', { labels: { 'hipache.host': 'goes.test' } });
    for (const name of ['stays', 'goes']) await untilAnswer(`${name}.test`, name);
    await podman.stopService();
    await until('the log', () => docker.output.includes('the engine is away, and routes stay as they are'));
    assert.deepEqual([await answer('stays.test'), await answer('goes.test')], ['stays', 'goes']);
    docker.signal('SIGTERM');
    assert.equal(await docker.ended(), 0);
    assert.match(docker.output, /stopped; the routes stay/);
    await podman.serve();
    await podman.delete('goes');
    await podman.run('comes', { labels: { 'hipache.host': 'comes.test' } });
    assert.deepEqual([await answer('stays.test'), await answer('comes.test')], ['stays', '400']);
    docker = home.start(['docker', '--socket', podman.socket, '--source', 'one', '--network', podman.networks[0]]);
    await untilAnswer('comes.test', 'comes');
    await untilAnswer('goes.test', '400');
    assert.equal(await answer('stays.test'), 'stays');
    for (const name of ['stays', 'comes']) await podman.delete(name);
    await untilAnswer('stays.test', '400');
  });

  it('is live soon after a start, and gone soon after a stop', async (t: TestContext) => {
    const [live, gone]: number[][] = [[], []];
    for (let round = 0; round < rounds; round++) {
      const [name, host] = [`figure${round}`, `figure${round}.test`];
      await podman.create(name, { labels: { 'hipache.host': host } });
      await podman.start(name);
      const startedMs = performance.now();
      await until(`${host} to be live`, async () => (await answer(host)) === name);
      live?.push(performance.now() - startedMs);
      await podman.stop(name);
      const stoppedMs = performance.now();
      await until(`${host} to be gone`, async () => (await answer(host)) === '400');
      gone?.push(performance.now() - stoppedMs);
      await podman.delete(name);
    }
    for (const [what, times = []] of [
      ['container started to route live', live],
      ['container stopped to route gone', gone],
    ] as const) {
      const sorted = [...times].sort((one, other) => one - other).map(Math.round);
      t.diagnostic(`${what}: median ${sorted[rounds >> 1]} ms of ${rounds}: ${sorted.join(', ')} ms`);
    }
  });
});
