import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { after, before, describe, it } from 'node:test';
import { WebSocket } from 'ws';
import { z } from 'zod';
import { Authority } from '../helpers/authority.ts';
import { EchoBackend } from '../helpers/echo-tunnels.ts';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { ask } from '../helpers/http-client.ts';
import { metricsUrl, scrape } from '../helpers/metrics.ts';
import { RawClient } from '../helpers/raw-client.ts';
import { RsyslogServer } from '../helpers/rsyslog-server.ts';
import { until } from '../helpers/until.ts';

const schemaText = readFileSync(new URL('../../docs/access-log.schema.json', import.meta.url), 'utf8');
const schema = JSON.parse(schemaText) as { properties: Record<string, unknown> };

type Line = Readonly<Record<string, string | number | boolean>>;

describe('the access log in JSON, sent to rsyslog', () => {
  let home: HipacheHome;
  let authority: Authority;
  let server: RsyslogServer;
  let backend: HttpBackend;
  let echo: EchoBackend;
  let proxy: HipacheProcess;
  let tlsPort: number;

  before(async () => {
    home = new HipacheHome();
    authority = new Authority();
    server = await RsyslogServer.start();
    backend = await HttpBackend.start('one');
    echo = await EchoBackend.start();
    configure(server.urls[1] ?? '');
    await home.route('set', 'a.example', backend.url, '--id', 'my app');
    await home.route('set', 'tunnel.example', echo.url);
    await home.route('set', 'broken.example', 'http://127.0.0.1:1');
    await home.route('set', 'off.example', backend.url);
    await home.route('set', 'sampled.example', backend.url);
    assert.equal((await home.run('option', 'set', 'off.example', 'accessLog', 'off')).code, 0);
    assert.equal((await home.run('option', 'set', 'sampled.example', 'accessLog', '0.5')).code, 0);
    proxy = await home.serve();
    tlsPort = await proxy.tlsPort();
  });

  after(async () => {
    await home.remove();
    await server.remove();
    await backend.stop();
    await echo.stop();
    authority.dispose();
  });

  function configure(accessLog: string): void {
    const { certificateFile, keyFile } = authority.issue(['a.example']);
    const https = { bind: [{ address: '127.0.0.1', port: 0, cert: certificateFile, key: keyFile }] };
    const log = { accessLog, accessLogFormat: 'json', accessLogFacility: 'daemon', accessLogSample: 0 };
    home.configure({ https, metrics: { port: 0 } }, { ...log, workers: 1 });
  }

  function lines(host: string): readonly Line[] {
    const all = server.messages().map(({ text }) => JSON.parse(text) as Line);
    return all.filter((line) => line['host'] === host);
  }

  async function line(host: string): Promise<Line> {
    await until(`a line of ${host}`, () => lines(host).length > 0);
    return lines(host)[0] as Line;
  }

  it('has a failed request, whatever is sampled, with what rsyslog knows of it', async () => {
    assert.equal((await ask(proxy.port, 'broken.example')).status, 502);
    const { attempts, error, method, sample, status, ...rest } = await line('broken.example');
    assert.deepEqual([attempts, error, method, sample, status], [1, 'BACKEND_CONNECT_REFUSED', 'GET', undefined, 502]);
    assert.ok(!('backendMs' in rest) && !('firstByteMs' in rest));
    const [message] = server.messages();
    assert.deepEqual(
      [message?.input, message?.facility, message?.severity, message?.program, message?.messageId],
      ['imtcp', 'daemon', 'info', 'hipache', 'access'],
    );
  });

  it('has a request with a body, with its times, bytes and port', async () => {
    assert.equal((await home.run('option', 'set', 'a.example', 'accessLog', 'on', '--wait')).code, 0);
    const client = await RawClient.connect(proxy.port);
    const { localPort } = client.socket;
    client.send(
      'POST /p?q=1 HTTP/1.1\r\nHost: A.example\r\nReferer: http://r/\r\nUser-Agent: caf\xe9\r\nContent-Length: 5\r\n\r\nhello',
    );
    await client.expect('one');
    const found = await line('a.example');
    client.close();
    const { bytes, bytesReceived, clientPort, connectMs, firstByteMs, totalMs, waitMs } = found;
    assert.deepEqual([bytes, bytesReceived, clientPort], [client.received.length, 5, localPort]);
    for (const ms of [waitMs, connectMs, firstByteMs]) assert.ok(Number(ms) >= 0 && Number(ms) <= Number(totalMs));
    const expected = {
      referer: 'http://r/',
      userAgent: 'caf\xe9',
      id: 'my app',
      target: '/p?q=1',
      backend: backend.url,
    };
    for (const [name, value] of Object.entries(expected)) assert.equal(found[name], value, name);
  });

  it('has the version of TLS', async () => {
    const asked = request({
      ...{ host: '127.0.0.1', port: tlsPort, path: '/tls', servername: 'a.example', ca: authority.certificate },
      headers: { host: 'a.example' },
    }).end();
    const [response] = await once(asked, 'response');
    await response.toArray();
    await until('its line', () => lines('a.example').some(({ target }) => target === '/tls'));
    const found = lines('a.example').find(({ target }) => target === '/tls');
    assert.deepEqual([found?.['tls'], found?.['status']], ['TLSv1.3', 200]);
  });

  it('has a tunnel when it ends, with its bytes', async () => {
    assert.equal((await home.run('option', 'set', 'tunnel.example', 'accessLog', 'on', '--wait')).code, 0);
    const socket = new WebSocket(`ws://127.0.0.1:${proxy.port}/`, { headers: { host: 'tunnel.example' } });
    await once(socket, 'open');
    socket.send('x'.repeat(500));
    await once(socket, 'message');
    socket.close();
    const { bytesReceived, status, tunnel } = await line('tunnel.example');
    assert.deepEqual([status, tunnel], [101, true]);
    assert.ok(Number(bytesReceived) > 500);
  });

  it('has about the share of a host that samples, and says so; nothing of one that is off', async () => {
    const requests = 200;
    for (let count = 0; count < requests; count++) {
      await ask(proxy.port, 'sampled.example');
      if (count < 20) await ask(proxy.port, 'off.example');
    }
    assert.equal((await ask(proxy.port, 'broken.example', { path: '/last' })).status, 502);
    await until('the last line', () => lines('broken.example').some(({ target }) => target === '/last'));
    const sampled = lines('sampled.example');
    // The standard deviation is 7.
    assert.ok(sampled.length > 50 && sampled.length < 150, String(sampled.length));
    assert.ok(sampled.every(({ sample }) => sample === 0.5));
    assert.deepEqual(lines('off.example'), []);
  });

  it('goes elsewhere after a reload, and nothing was lost', async () => {
    configure(server.urls[2] ?? '');
    proxy.signal('SIGHUP');
    await until('a line over the Unix socket', async () => {
      await ask(proxy.port, 'broken.example');
      return server.messages().some(({ input }) => input === 'imptcp');
    });
    assert.equal((await scrape(metricsUrl(proxy.output))).get('hipache_access_log_dropped_lines_total'), 0);
  });

  it('has lines that are all valid by the published schema, with no other fields', () => {
    const validator = z.fromJSONSchema(JSON.parse(schemaText));
    const all = server.messages().map(({ text }) => JSON.parse(text) as Line);
    assert.ok(all.length > 50);
    for (const each of all) {
      const { error } = validator.safeParse(each);
      assert.equal(error, undefined, JSON.stringify(each));
      assert.deepEqual(
        Object.keys(each).filter((name) => !(name in schema.properties)),
        [],
      );
    }
    // The validator does look.
    for (const wrong of [{ status: '200' }, { version: '3' }, { sample: 1 }, { time: 'now' }, { host: undefined }]) {
      assert.equal(validator.safeParse({ ...all[0], ...wrong }).success, false, JSON.stringify(wrong));
    }
  });
});

it('a wrong URL of a server of syslog is refused at the start', async (t) => {
  const home = new HipacheHome();
  t.after(() => home.remove());
  home.configure({}, { accessLog: 'syslog+udp://localhost' });
  const { code, stderr } = await home.runAlone('--dry');
  assert.notEqual(code, 0);
  assert.match(
    stderr,
    /server\.accessLog: found "syslog\+udp:\/\/localhost", allowed a path, "-", "syslog:\/\/host:514"/,
  );
});
