import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { HipacheHome, HipacheProcess } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { ask } from '../helpers/http-client.ts';
import { metricsUrl, scrape, untilSeries } from '../helpers/metrics.ts';
import { RawClient } from '../helpers/raw-client.ts';
import { until } from '../helpers/until.ts';
import { workerPids } from '../helpers/workers.ts';

describe('the metrics of an instance', () => {
  let home: HipacheHome;
  let backend: HttpBackend;
  let proxy: HipacheProcess;
  let url: string;

  beforeEach(async () => {
    home = new HipacheHome();
    backend = await HttpBackend.start('one');
    home.configure({ metrics: { port: 0 } }, { workers: 2 });
    await home.route('set', 'a.example', backend.url);
    proxy = await home.serve();
    url = metricsUrl(proxy.output);
  });

  afterEach(async () => {
    await home.remove();
    await backend.stop();
  });

  async function askOften(times: number): Promise<void> {
    for (let count = 0; count < times; count++) assert.equal((await ask(proxy.port, 'a.example')).body, 'one');
  }

  it('are those of all its workers', async () => {
    await askOften(40);
    assert.equal((await ask(proxy.port, 'nobody.example')).status, 400);
    await untilSeries(url, 'hipache_responses_total{class="2xx"}', (value) => value === 40);
    const series = await scrape(url);
    assert.equal(series.get('hipache_responses_total{class="4xx"}'), 1);
    assert.equal(series.get('hipache_request_errors_total{code="ROUTE_NOT_FOUND"}'), 1);
    assert.equal(series.get('hipache_requests_total'), 41);
    assert.equal(series.get('hipache_client_connections_total'), 41);
    assert.equal(series.get('hipache_request_duration_seconds_count'), 41);
    assert.equal(series.get('hipache_request_duration_seconds_bucket{le="+Inf"}'), 41);
    assert.equal(series.get('hipache_backend_duration_seconds_count'), 40);
    assert.ok((series.get('hipache_connections_max') ?? 0) >= 2 * 64);
    assert.equal(series.get('hipache_workers'), 2);
    assert.equal(series.get('hipache_workers_ready'), 2);
    for (const worker of [1, 2]) {
      assert.equal(series.get(`hipache_store_connected{worker="${worker}"}`), 1);
      assert.ok((series.get(`hipache_worker_resident_bytes{worker="${worker}"}`) ?? 0) > 10_000_000);
    }
  });

  it('have no bucket smaller than the one before', async () => {
    await askOften(5);
    const buckets = [...(await scrape(url))].filter(([name]) =>
      name.startsWith('hipache_request_duration_seconds_bucket'),
    );
    assert.ok(buckets.length > 10);
    let last = 0;
    for (const [name, value] of buckets) {
      assert.ok(value >= last, name);
      last = value;
    }
  });

  it('are given by host and by backend, for those with the most traffic', async () => {
    await home.route('set', 'broken.example', 'http://127.0.0.1:1');
    await askOften(5);
    for (let count = 0; count < 3; count++) assert.equal((await ask(proxy.port, 'broken.example')).status, 502);
    await untilSeries(url, 'hipache_host_requests_total{host="a.example"}', (value) => value === 5);
    await untilSeries(url, 'hipache_host_errors_total{host="broken.example"}', (value) => value === 3);
    const series = await scrape(url);
    assert.equal(series.get('hipache_host_errors_total{host="a.example"}'), 0);
    assert.ok((series.get('hipache_host_sent_bytes_total{host="a.example"}') ?? 0) > 100);
    assert.equal(series.get(`hipache_backend_requests_total{backend="${backend.url}"}`), 5);
    assert.equal(series.get('hipache_backend_errors_total{backend="http://127.0.0.1:1"}'), 3);
    assert.equal(series.get('hipache_host_requests_total{host="(other)"}'), 0);
  });

  it('show what is open and in progress', async () => {
    const client = await RawClient.connect(proxy.port);
    client.send('POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\nhello');
    await untilSeries(url, 'hipache_requests_in_flight', (value) => value === 1);
    const series = await scrape(url);
    assert.equal(series.get('hipache_client_connections_open'), 1);
    assert.equal(series.get('hipache_backend_connections_open'), 1);
    client.close();
    await untilSeries(url, 'hipache_requests_in_flight', (value) => value === 0);
  });

  it('keep the totals of workers that have gone', async () => {
    await askOften(30);
    await untilSeries(url, 'hipache_responses_total{class="2xx"}', (value) => value === 30);
    const before = workerPids(proxy.pid);
    for (const pid of before) process.kill(pid, 'SIGKILL');
    await until('other workers', () => workerPids(proxy.pid).filter((pid) => !before.includes(pid)).length === 2);
    await untilSeries(url, 'hipache_workers_ready', (value) => value === 2);
    assert.equal((await scrape(url)).get('hipache_responses_total{class="2xx"}'), 30);
    await askOften(3);
    await untilSeries(url, 'hipache_responses_total{class="2xx"}', (value) => value === 33);
    assert.equal((await scrape(url)).get('hipache_worker_restarts_total{reason="crash"}'), 2);
    proxy.signal('SIGHUP');
    await untilSeries(url, 'hipache_worker_restarts_total{reason="reload"}', (value) => value === 2);
    await until('the end of the old ones', () => workerPids(proxy.pid).length === 2);
    assert.equal((await scrape(url)).get('hipache_responses_total{class="2xx"}'), 33);
  });

  it('include only the totals of a worker that does not respond', async () => {
    await askOften(20);
    await untilSeries(url, 'hipache_responses_total{class="2xx"}', (value) => value === 20);
    const [stopped = 0] = workerPids(proxy.pid);
    process.kill(stopped, 'SIGSTOP');
    try {
      await untilSeries(url, 'hipache_workers_unresponsive', (value) => value === 1);
      const series = await scrape(url);
      assert.equal(series.get('hipache_responses_total{class="2xx"}'), 20);
      assert.equal([...series.keys()].filter((name) => name.startsWith('hipache_worker_resident_bytes')).length, 1);
    } finally {
      process.kill(stopped, 'SIGCONT');
    }
    await untilSeries(url, 'hipache_workers_unresponsive', (value) => value === 0);
  });

  it('are all in docs/metrics.md, with type and meaning, and there are no others', async () => {
    const text = await (await fetch(url)).text();
    const told = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', type = '']) => [name, type]));
    const page = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8');
    const described = new Map(
      [...page.matchAll(/^\| `(hipache_\w+)` \| (\w+) \|/gm)].map(([, name = '', type = '']) => [name, type]),
    );
    assert.deepEqual([...described].sort(), [...told].sort());
  });

  it('are served along with a health check, and nothing else is', async () => {
    const base = url.replace('/metrics', '');
    assert.equal(await (await fetch(`${base}/healthz`)).text(), 'ok\n');
    assert.equal((await fetch(`${base}/other`)).status, 404);
    assert.equal((await fetch(url, { method: 'POST' })).status, 405);
    assert.equal((await fetch(url)).headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
  });

  it('need a free address', async () => {
    const port = Number(new URL(url).port);
    home.configure({ metrics: { port } }, { workers: 2 });
    const second = new HipacheProcess(['--config', home.path('config.json')]);
    assert.equal(await second.ended(), 1);
    assert.match(second.output, new RegExp(`cannot listen on 127\\.0\\.0\\.1:${port}: another program listens there`));
  });
});
