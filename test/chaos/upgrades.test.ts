import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, it, type TestContext } from 'node:test';
import { EchoBackend } from '../helpers/echo-tunnels.ts';
import { freePort } from '../helpers/free-port.ts';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { SteadyTunnels, SteadyUploads } from '../helpers/lasting-clients.ts';
import { SteadyLoad } from '../helpers/steady-load.ts';
import { until } from '../helpers/until.ts';
import { isRunning } from '../helpers/workers.ts';

/** HIPACHE_ROUNDS=10 for the long run. */
const rounds = Number(process.env['HIPACHE_ROUNDS'] ?? 3);

/** Clients of all kinds, without pause, while the program is replaced by another one. */
describe('under new connections, kept ones, uploads and tunnels', { timeout: 60_000 * rounds }, () => {
  let home: HipacheHome;
  let backend: HttpBackend;
  let echo: EchoBackend;
  let port: number;
  let diagnose: (text: string) => void;

  beforeEach(async (context) => {
    diagnose = (text) => (context as TestContext).diagnostic(text);
    home = new HipacheHome();
    backend = await HttpBackend.start('one');
    echo = await EchoBackend.start();
    port = await freePort();
    home.configure({ http: { bind: [{ address: '127.0.0.1', port }] } }, { workers: 2, drainSeconds: 3 });
    await home.route('set', 'a.example', backend.url);
    await home.route('set', 'tunnels.example', echo.url);
  });

  afterEach(async () => {
    await home.remove();
    echo.stop();
    await backend.stop();
  });

  /** Runs `replace` several times under load. @returns all failures. */
  async function underLoad(replace: () => Promise<void>): Promise<string[]> {
    const load = new SteadyLoad(port, 'a.example', 8, 4);
    const uploads = new SteadyUploads(port, 'a.example', 4);
    const tunnels = new SteadyTunnels(port, 'tunnels.example', 8);
    for (let round = 1; round <= rounds; round++) {
      await replace();
      const before = [load.answered, uploads.completed, tunnels.echoes] as const;
      await until(
        'all of them to go on',
        () => load.answered > before[0] + 100 && uploads.completed > before[1] + 4 && tunnels.echoes > before[2] + 8,
      );
    }
    await Promise.all([load.stop(), uploads.stop(), tunnels.stop()]);
    const failures = [...load.failures, ...uploads.failures, ...tunnels.failures];
    const figures = [load.answered, uploads.completed, tunnels.closeCodes.length, failures.length];
    diagnose(`${rounds} rounds; requests, uploads, ended tunnels, failures: ${figures.join(', ')}`);
    assert.ok(tunnels.closeCodes.length >= rounds);
    assert.deepEqual(
      tunnels.closeCodes.filter((code) => code !== 1012 && code !== 1001),
      [],
    );
    return failures;
  }

  it('an upgrade loses nothing', async () => {
    const proxy = await home.serve();
    const failures = await underLoad(async () => {
      const former = proxy.primaries.at(-1) as number;
      await proxy.upgrade();
      await until('the end of the former program', () => !isRunning(former));
    });
    assert.deepEqual(failures, []);
    assert.equal(proxy.primaries.length, rounds + 1);
    assert.doesNotMatch(proxy.output, /did not finish/);
  });

  it('a restart beside a successor refuses nothing, and the kernel resets hardly anything', async () => {
    let proxy: HipacheProcess = await home.serve();
    const failures = await underLoad(async () => {
      const former = proxy;
      proxy = home.start(['--beside']);
      await proxy.listening();
      former.signal('SIGTERM');
      assert.equal(await former.ended(), 0);
    });
    // The kernel resets a handshake that it completes between the last accept and the close, unless it may migrate it.
    const resets = failures.filter((failure) => failure.includes('ECONNRESET')).length;
    assert.equal(failures.length, resets, failures.join());
    const migrates = readFileSync('/proc/sys/net/ipv4/tcp_migrate_req', 'utf8').trim() === '1';
    assert.ok(resets <= (migrates ? 0 : 3 * rounds), failures.join());
  });
});
