import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { ask } from '../helpers/http-client.ts';
import { RedisServer } from '../helpers/redis-server.ts';

for (const name of ['redis', 'sqlite'] as const) {
  describe(`routes of paths, with two instances of two workers on ${name}`, () => {
    let home: HipacheHome;
    let server: RedisServer | null;
    let instances: readonly HipacheProcess[];
    const backends: Server[] = [];

    before(async () => {
      home = new HipacheHome();
      server = name === 'redis' ? await RedisServer.start() : null;
      home.configure({ driver: server?.url ?? home.driver }, { workers: 2 });
      instances = [await home.serve(), await home.serve()];
    });

    after(async () => {
      await home.remove();
      for (const backend of backends) {
        backend.closeAllConnections();
        backend.close();
      }
      await server?.remove();
    });

    /** A backend that responds with its name and the path that it gets. */
    const backend = async (says: string): Promise<string> => {
      const made = createServer((request, response) => response.end(`${says} ${request.url}`));
      backends.push(made);
      await new Promise<void>((resolve) => made.listen(0, '127.0.0.1', resolve));
      return `http://127.0.0.1:${(made.address() as AddressInfo).port}`;
    };
    const hipache = async (...args: string[]): Promise<string> => {
      const result = await home.run(...args);
      assert.equal(result.code, 0, result.stderr);
      return result.stdout;
    };
    /** The same reply of every worker, as far as a few requests show. */
    const served = async (path: string): Promise<string> => {
      const replies = new Set<string>();
      for (const { port } of instances) {
        for (let i = 0; i < 4; i++) {
          const { body, status } = await ask(port, 'a.example', { path });
          replies.add(status === 200 ? body : String(status));
        }
      }
      return [...replies].join(' | ');
    };

    it('are live everywhere when the command ends, and gone when they are removed', async () => {
      await hipache('route', 'set', 'a.example', await backend('host'), '--wait=20');
      assert.equal(await served('/api/x'), 'host /api/x');
      await hipache('route', 'set', 'a.example/api', await backend('api'), '--wait=20');
      assert.equal(await served('/api/x'), 'api /api/x');
      assert.equal(await served('/x'), 'host /x');
      await hipache('option', 'set', 'a.example/api', 'stripPath', 'on', '--wait=20');
      assert.equal(await served('/api/x'), 'api /x');
      await hipache('route', 'set', 'a.example/api/v2', await backend('v2'), '--wait=20');
      assert.equal(await served('/api/v2/x'), 'v2 /api/v2/x');
      assert.match(await hipache('option', 'list', 'a.example'), /paths = \/api, \/api\/v2/);
      await hipache('route', 'remove', 'a.example/api/v2', '--wait=20');
      assert.equal(await served('/api/v2/x'), 'api /v2/x');
      assert.match(await hipache('option', 'list', 'a.example'), /paths = \/api\n/);
    });

    it('have the options of their host, and their own', async () => {
      await hipache('option', 'set', 'a.example', 'allow', '10.0.0.0/8', '--wait=20');
      assert.deepEqual([await served('/x'), await served('/api/x')], ['403', '403']);
      await hipache('option', 'set', 'a.example/api', 'allow', 'any', '--wait=20');
      assert.deepEqual([await served('/x'), await served('/api/x')], ['403', 'api /x']);
      assert.equal(await served('/api/..%2fx'), '400');
      await hipache('option', 'unset', 'a.example', 'allow', '--wait=20');
    });

    it('are explained with their host', async () => {
      const text = await hipache('explain', 'a.example/%61pi/users?x');
      assert.match(text, /^tried +a\.example +matched\n +a\.example\/api +matched\n/m);
      assert.match(text, /^route +a\.example\/api /m);
      assert.match(text, /^path +backends get \/users\?x$/m);
      assert.match(text, /allow +any +from a\.example\/api/);
      const ambiguous = await home.run('explain', 'a.example/x/..;/api');
      assert.equal(ambiguous.code, 3);
      assert.match(ambiguous.stdout, /400 REQUEST_INVALID \(servers read the path in different ways/);
    });

    it('are deployed alone', async () => {
      await hipache('deploy', 'a.example', await backend('new'), '--path', '/api', '--drain', '1s', '--health', '/up');
      assert.deepEqual([await served('/api/x'), await served('/x')], ['new /x', 'host /x']);
      await hipache('rollback', 'a.example', '--path=/api', '--drain=1s');
      assert.equal(await served('/api/x'), 'api /x');
      await hipache('deploy', 'a.example/app', await backend('app'), '--drain', '1s');
      assert.equal(await served('/app'), 'app /app');
    });

    it('warn of a host that has no route, and refuse a path that is no prefix', async () => {
      const { code, stdout } = await home.run('route', 'set', 'alone.example/api', 'http://127.0.0.1:1');
      assert.deepEqual([code, /warning: alone\.example has no route/.test(stdout)], [0, true]);
      const refused = await home.run('route', 'set', 'a.example/%61pi', 'http://127.0.0.1:1');
      assert.equal(refused.code, 2);
      assert.match(refused.stderr, /the path of "a\.example\/%61pi" is no prefix: allowed are segments/);
    });

    it('of one host, set at the same time, are all there', async () => {
      const url = await backend('many');
      await hipache('route', 'set', 'many.example', url);
      await Promise.all(Array.from({ length: 6 }, (_, i) => hipache('route', 'set', `many.example/p${i}`, url)));
      const paths = await hipache('option', 'list', 'many.example');
      for (let i = 0; i < 6; i++) assert.match(paths, new RegExp(`/p${i}\\b`));
    });
  });
}
