import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { it } from 'node:test';
import { freePort } from '../helpers/free-port.ts';
import { HipacheHome } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { ask } from '../helpers/http-client.ts';
import { metricsUrl, scrape, untilSeries } from '../helpers/metrics.ts';
import { until } from '../helpers/until.ts';

it('marks set before a SIGHUP are lifted after it, and the metrics show it', async (t) => {
  const home = new HipacheHome();
  const steady = await HttpBackend.start('one');
  t.after(() => steady.stop());
  t.after(() => home.remove());
  const port = await freePort();
  const settings = { workers: 1, recoveryProbeSeconds: 1, deadBackendTTL: 3600 };
  home.configure({ metrics: { port: 0 } }, settings);
  await home.route('set', 'a.example', steady.url, `http://127.0.0.1:${port}`);
  const proxy = await home.serve();
  const url = metricsUrl(proxy.output);
  await until('a mark', async () => {
    assert.equal((await ask(proxy.port, 'a.example')).body, 'one');
    return (await scrape(url)).get('hipache_dead_marks_total') === 1;
  });
  const marked = `a backend is marked dead worker=1 host=a.example backend=http://127.0.0.1:${port} reason=BACKEND_CONNECT_REFUSED`;
  await until('the log line', () => proxy.output.includes(marked));
  await untilSeries(url, 'hipache_backends_probed', (value) => value === 1);
  const reload = async (count: number): Promise<void> => {
    proxy.signal('SIGHUP');
    await until(
      'the new configuration',
      () => proxy.output.split('the new configuration is in use').length === count + 1,
    );
  };
  await reload(1);
  assert.equal((await scrape(url)).get('hipache_backends_probed'), 1);
  home.configure({ metrics: { port: 0 } }, { ...settings, deadBackendTTL: 1800 });
  await reload(2);
  const probes = (await scrape(url)).get('hipache_recovery_probes_total') ?? Number.NaN;
  await untilSeries(url, 'hipache_recovery_probes_total', (value) => value > probes);
  assert.doesNotMatch(proxy.output, /has recovered/);
  const back = createServer((_, response) => void response.end('two'));
  t.after(() => {
    back.closeAllConnections();
    back.close();
  });
  await new Promise<void>((resolve) => back.listen(port, '127.0.0.1', resolve));
  await until('its recovery', () => proxy.output.includes('a backend has recovered host=a.example'));
  await untilSeries(url, 'hipache_backends_probed', (value) => value === 0);
  assert.equal((await scrape(url)).get('hipache_recovered_backends_total'), 1);
  await until('a response of it', async () => (await ask(proxy.port, 'a.example')).body === 'two');
});
