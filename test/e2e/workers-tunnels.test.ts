import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { EchoBackend, EchoTunnel } from '../helpers/echo-tunnels.ts';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { RawClient } from '../helpers/raw-client.ts';
import { socketOwner } from '../helpers/socket-handler.ts';
import { until } from '../helpers/until.ts';
import { workerOf } from '../helpers/worker-clients.ts';
import { isRunning, workerPids } from '../helpers/workers.ts';

/** Enough for each of two workers to get some, except by the rarest luck. */
const tunnelsCount = 24;

describe('the tunnels of several workers', () => {
  let home: HipacheHome;
  let echo: EchoBackend;
  let backend: HttpBackend;
  let tunnels: EchoTunnel[] = [];

  beforeEach(async () => {
    home = new HipacheHome();
    echo = await EchoBackend.start();
    backend = await HttpBackend.start('one');
    home.configure({}, { workers: 2, drainSeconds: 4 });
    await home.route('set', 'tunnels.example', echo.url);
    await home.route('set', 'a.example', backend.url);
  });

  afterEach(async () => {
    for (const tunnel of tunnels) tunnel.close();
    tunnels = [];
    await home.remove();
    echo.stop();
    await backend.stop();
  });

  async function open(proxy: HipacheProcess): Promise<EchoTunnel> {
    const tunnel = await EchoTunnel.open(proxy.port, 'tunnels.example');
    tunnels.push(tunnel);
    return tunnel;
  }

  /** The worker that has a tunnel. */
  function ownerOf(proxy: HipacheProcess, { port }: EchoTunnel): number | null {
    return socketOwner(workerPids(proxy.pid), proxy.port, port);
  }

  it('are closed with 1012 by SIGHUP; an upload still completes, and new ones can open', async () => {
    const proxy = await home.serve();
    const old = workerPids(proxy.pid);
    await Promise.all(Array.from({ length: tunnelsCount }, () => open(proxy)));
    const upload = await RawClient.connect(proxy.port);
    upload.send('POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\nhello');
    await until('the upload at the backend', () => backend.requests === 1);
    const uploader = workerOf(proxy, upload.socket) as number;
    const before = [...tunnels];
    proxy.signal('SIGHUP');
    await until('the new workers', () => proxy.output.includes('the new configuration is in use'));
    const later = await Promise.all(Array.from({ length: tunnelsCount }, () => open(proxy)));
    await until('the end of the old tunnels', () => before.every(({ closeCode }) => closeCode !== null));
    assert.deepEqual(new Set(before.map(({ closeCode }) => closeCode)), new Set([1012]));
    await until('the Close frames at the backend', () => echo.closeCodes.length === tunnelsCount);
    assert.deepEqual(new Set(echo.closeCodes), new Set([1012]));
    for (const pid of old) if (pid !== uploader) await until('the end of an old worker', () => !isRunning(pid));
    assert.ok(isRunning(uploader));
    upload.send('world');
    await upload.expect(/200 OK[\s\S]*one$/);
    upload.close();
    await until('the end of the other one', () => !isRunning(uploader));
    for (const tunnel of later) await tunnel.echo();
    for (const tunnel of later) assert.ok(!old.includes(ownerOf(proxy, tunnel) as number));
    assert.doesNotMatch(proxy.output, /had not finished/);
  });

  it('end with their worker when it is killed, while the others stay', async () => {
    const proxy = await home.serve();
    await Promise.all(Array.from({ length: tunnelsCount }, () => open(proxy)));
    const [victim = 0] = workerPids(proxy.pid);
    const own = tunnels.filter((tunnel) => ownerOf(proxy, tunnel) === victim);
    const others = tunnels.filter((tunnel) => !own.includes(tunnel));
    assert.ok(own.length > 0 && others.length > 0);
    process.kill(victim, 'SIGKILL');
    await until('the end of its tunnels', () => own.every(({ closeCode }) => closeCode !== null));
    await until('the replacement', () => workerPids(proxy.pid).length === 2 && !workerPids(proxy.pid).includes(victim));
    for (const tunnel of others) await tunnel.echo();
    // No Close arrived: 1006 stands for an end without one.
    assert.deepEqual(new Set(own.map(({ closeCode }) => closeCode)), new Set([1006]));
    assert.equal(echo.closeCodes.length, own.length);
    const again = await open(proxy);
    await again.echo();
  });
});
