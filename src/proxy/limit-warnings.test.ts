import assert from 'node:assert/strict';
import { test } from 'node:test';
import { get, Rig, request, response } from '../../test/helpers/rig.ts';
import { until } from '../../test/helpers/until.ts';

test('a limit that refuses requests is named, with the key that raises it', async (t) => {
  const settings = { backendConnectionsMax: 1, queueMax: 1, queueTimeoutMs: 50, requestsMax: 3 };
  const rig = await Rig.start(t, { settings });
  const clients = [await rig.send(get('/busy'))];
  await rig.backend.receive('/busy');
  clients.push(await rig.send(get('/waits')));
  await until('the queue', () => rig.proxy.dataPlane.origins.waitingRequests === 1);
  const full = await rig.send(get('/full'));
  await full.expect('503');
  clients.push(await rig.send(request(`GET /${'x'.repeat(9000)} HTTP/1.1`)));
  clients.push(await rig.send(get('/', ...Array.from({ length: 200 }, (_, at) => `X-${at}: y`))));
  await clients[1]?.expect('503');
  await until('the warnings', () => rig.proxy.warnings.length >= 4);
  const said = rig.proxy.warnings.join('\n');
  assert.match(said, /code BACKEND_QUEUE_FULL; limits\.queueMax .*server\.maxSockets.*"host":"a\.test"/);
  assert.match(said, /code BACKEND_QUEUE_TIMEOUT; limits\.queueTimeoutSeconds/);
  assert.match(said, /code REQUEST_TARGET_TOO_LONG; limits\.targetBytesMax/);
  assert.match(said, /code REQUEST_HEAD_TOO_LARGE; limits\.headBytesMax and limits\.headFieldsMax/);
});

test('so is one that ends a response, and one that ends a slow request', async (t) => {
  const settings = {
    responseLimits: { headBytesMax: 1000, headFieldsMax: 10, targetBytesMax: 0 },
    informationalResponsesMax: 2,
    responseIdleMs: 50,
    inactivityMs: 50,
    headTimeoutMs: 50,
  };
  const rig = await Rig.start(t, { settings });
  const many = Array.from({ length: 20 }, (_, at) => `X-${at}: y\r\n`).join('');
  const responses = [
    `HTTP/1.1 200 OK\r\nX: ${'y'.repeat(2000)}\r\n\r\n`,
    `HTTP/1.1 200 OK\r\n${many}\r\n`,
    'HTTP/1.1 100 Continue\r\n\r\n'.repeat(5),
    'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc',
    '',
  ];
  rig.backend.serve(() => responses.shift() ?? '');
  for (const code of [...Array(3).fill('TOO_LARGE'), 'SILENT', 'BACKEND_TIMEOUT']) {
    const before = rig.proxy.warnings.length;
    const client = await rig.send(get());
    await until(code, () => rig.proxy.warnings.length > before);
    assert.match(rig.proxy.warnings.at(-1) ?? '', new RegExp(code));
    client.close();
  }
  const slow = await rig.send('GET / HTTP/1.1\r\n');
  await slow.expect('408');
  const said = rig.proxy.warnings.join('\n');
  assert.match(said, /code BACKEND_RESPONSE_TOO_LARGE; limits\.responseHeadBytesMax/);
  assert.match(said, /code BACKEND_RESPONSE_SILENT; limits\.responseIdleSeconds/);
  assert.match(said, /code BACKEND_TIMEOUT; server\.tcpTimeout/);
  assert.match(said, /code REQUEST_TIMEOUT; limits\.headTimeoutSeconds/);
});

test('clients that are refused are reported, whether by their number or by the descriptors', async (t) => {
  const byNumber = await Rig.start(t, { settings: { connectionsMax: 1 } });
  byNumber.backend.serve(() => response('ok'));
  const first = await byNumber.send(get('/'));
  await first.expect('ok');
  await (await byNumber.client()).untilEnded();
  assert.match(byNumber.proxy.warnings.join(), /clients are refused; limits\.connectionsMax .*"connectionsMax":1/);
  const byDescriptors = await Rig.start(t, { settings: { descriptorsMax: 2 } });
  const busy = await byDescriptors.send(get('/'));
  await byDescriptors.backend.receive('GET /');
  await (await byDescriptors.client()).untilEnded();
  assert.match(byDescriptors.proxy.warnings.join(), /all descriptors are in use; .*ulimit -n, LimitNOFILE/);
  busy.close();
});
