import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { freePort } from '../helpers/free-port.ts';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { ask } from '../helpers/http-client.ts';
import { RedisServer } from '../helpers/redis-server.ts';
import { until } from '../helpers/until.ts';

const platform = fileURLToPath(new URL('../../examples/platform/platform.js', import.meta.url));
const application = `
  require('node:http')
    .createServer((request, response) => response.end('awake'))
    .listen(process.env.PORT, '127.0.0.1');
`;

for (const name of ['redis', 'sqlite'] as const) {
  describe(`a host that sleeps, with two instances of two workers on ${name}`, () => {
    let home: HipacheHome;
    let server: RedisServer | null;
    let instances: readonly HipacheProcess[];
    let child: ChildProcess;
    let output = '';
    let platformPort: number;
    let appPort: number;

    before(async () => {
      home = new HipacheHome();
      server = name === 'redis' ? await RedisServer.start() : null;
      home.configure({ driver: server?.url ?? home.driver }, { workers: 2 });
      instances = [await home.serve(), await home.serve()];
      [platformPort, appPort] = [await freePort(), await freePort()];
      const apps = { 'a.example': { command: [process.execPath, '-e', application], env: { PORT: String(appPort) } } };
      writeFileSync(home.path('apps.json'), JSON.stringify({ port: platformPort, key: 'secret', apps }));
      child = spawn(process.execPath, [platform, home.path('apps.json')], { stdio: ['ignore', 'pipe', 'inherit'] });
      child.stdout?.on('data', (text: Buffer) => {
        output += text.toString();
      });
      await until('the platform', () => output.includes('listening'));
    });

    after(async () => {
      await home.remove();
      child.kill('SIGTERM');
      await server?.remove();
    });

    const hipache = async (...args: string[]): Promise<string> => {
      const result = await home.run(...args);
      assert.equal(result.code, 0, result.stderr);
      return result.stdout;
    };
    const askAll = () => Promise.all(instances.flatMap(({ port }) => [1, 2, 3].map(() => ask(port, 'a.example'))));
    const starts = (): number => output.split('a.example starts').length - 1;

    it('is started by its platform, once, while requests of all instances wait, and serves them', async () => {
      await hipache('route', 'set', 'a.example', `http://127.0.0.1:${appPort}`, '--wait=20');
      const url = `http://127.0.0.1:${platformPort}/`;
      await hipache('option', 'set', 'a.example', 'hold', '20s', 'wake', url, 'wakeKey', 'secret', '--wait=20');
      const responses = await askAll();
      assert.deepEqual(new Set(responses.map(({ body, status }) => `${status} ${body}`)), new Set(['200 awake']));
      assert.equal(starts(), 1);
    });

    it('is stopped when nobody uses it on any instance, and started again by the next request', async () => {
      await hipache('option', 'set', 'a.example', 'idleAfter', '2s', '--wait=20');
      await askAll();
      await until('the end of the application', () => output.includes('a.example has stopped'));
      // The platform was asked to wake it a moment ago: the next time comes later.
      const [first] = instances;
      assert.equal((await ask(first?.port ?? 0, 'a.example')).status, 200);
      assert.equal(starts(), 2);
    });

    it('keeps requests waiting while it is paused', async () => {
      const backend = await HttpBackend.start('paused');
      try {
        await hipache('route', 'set', 'b.example', backend.url, '--wait=20');
        assert.match(await hipache('pause', 'b.example', '--wait=20'), /set pause = on/);
        let served = 0;
        const asked = instances.map(async ({ port }) => {
          const response = await ask(port, 'b.example');
          served++;
          return response.body;
        });
        // Requests of another host, sent later, are served meanwhile.
        for (const { port } of instances) assert.equal((await ask(port, 'none.example')).status, 400);
        assert.deepEqual([served, backend.requests], [0, 0]);
        await hipache('resume', 'b.example', '--wait=20');
        assert.deepEqual(await Promise.all(asked), ['paused', 'paused']);
      } finally {
        await backend.stop();
      }
    });

    it('may have a route without any backend, until it gets one', async () => {
      const backend = await HttpBackend.start('new');
      try {
        assert.match(await hipache('route', 'set', 'c.example', '--empty'), /route created, 0 backends/);
        await hipache('option', 'set', 'c.example', 'hold', '20s', '--wait=20');
        const asked = instances.map(({ port }) => ask(port, 'c.example'));
        await hipache('route', 'add', 'c.example', backend.url);
        for (const response of await Promise.all(asked)) assert.equal(response.body, 'new');
      } finally {
        await backend.stop();
      }
    });
  });
}
