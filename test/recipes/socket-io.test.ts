import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { io, type ManagerOptions, type Socket, type SocketOptions } from 'socket.io-client';
import { Recipe, schemes } from './recipe.ts';

type ClientOptions = Partial<ManagerOptions & SocketOptions>;

describe('Socket.IO', () => {
  const recipe = new Recipe('Socket.IO');

  before(async () => {
    const cwd = join(import.meta.dirname, 'applications', 'socket-io');
    const start = () => recipe.start(process.execPath, () => ['server.js'], { cwd });
    const [first, second] = await Promise.all([start(), start()]);
    await recipe.serve({ 'app.example': [first, second], 'one.example': [first], 'app.example.com': [first, second] });
    await recipe.runBlock('options.sh');
  });

  after(() => recipe.stop());

  /** Connects to a host, whose name need not be resolved, as the code of the page does. */
  function connect(url: string): Socket {
    const { hostname, port, protocol } = new URL(url);
    const own: ClientOptions = {
      ca: recipe.authority.certificate,
      forceNew: true,
      extraHeaders: { host: `${hostname}:${port}` },
    };
    // Its certificate is for the name.
    const tls = { servername: hostname, checkServerIdentity: () => undefined };
    const page = new Function('io', `${recipe.block('client.js')}; return socket;`);
    return page((options: ClientOptions) => io(`${protocol}//127.0.0.1:${port}`, { ...options, ...own, ...tls }));
  }

  for (const scheme of schemes) {
    it(`serves clients over ${scheme} by several backends, each client by one`, async () => {
      const servers = new Set<number>();
      const url = recipe.url(scheme);
      for (let clients = 0; clients < 40 && servers.size < 2; clients++) {
        const socket = connect(url);
        try {
          const first = await socket.timeout(20_000).emitWithAck('who');
          assert.equal(first.url, url);
          assert.deepEqual(await socket.timeout(20_000).emitWithAck('who'), first);
          servers.add(first.server);
        } finally {
          socket.disconnect();
        }
      }
      assert.equal(servers.size, 2);
    });

    it(`knows a polling session over ${scheme} on one backend, on several with sticky clients, and without not always`, async () => {
      const poll = async (host: string): Promise<Set<string>> => {
        const url = `${recipe.url(scheme, host)}/socket.io/?EIO=4&transport=polling`;
        const opened = await recipe.curl(url);
        const { sid } = JSON.parse(opened.body.slice(1));
        // A cookie as a browser sends it back.
        const cookie = opened.headers.get('set-cookie')?.split(';')[0] ?? 'none=0';
        const post = async (packet: string) =>
          (await recipe.curl(`${url}&sid=${sid}`, '--cookie', cookie, '--data-binary', packet)).body;
        const bodies = new Set<string>();
        for (let posts = 0; posts < 20; posts++) bodies.add(await post('42["x"]'));
        return bodies;
      };
      assert.deepEqual(await poll('one.example'), new Set(['ok']));
      for (let sessions = 0; sessions < 5; sessions++) {
        assert.deepEqual(await poll('app.example.com'), new Set(['ok']));
      }
      assert.deepEqual(await poll('app.example'), new Set(['ok', '{"code":1,"message":"Session ID unknown"}']));
    });
  }
});
