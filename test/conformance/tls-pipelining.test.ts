import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Authority } from '../helpers/authority.ts';
import { response } from '../helpers/rig.ts';
import { TlsRig } from '../helpers/tls-rig.ts';
import { until } from '../helpers/until.ts';

/** A head of exactly this length. */
function head(lines: string, length: number): string {
  return `${lines}X: ${'x'.repeat(length - lines.length - 7)}\r\n\r\n`;
}

test('a TLS client that pipelines and does not read loses no byte: no part of a body becomes a request', async (t) => {
  const authority = new Authority();
  t.after(() => authority.dispose());
  const tls = await TlsRig.start(t, { authority, own: authority.issue(['a.test']) });
  tls.rig.backend.serve(({ startLine }) => response(startLine));
  const socket = await tls.connect();
  const unknown = 'GET / HTTP/1.1\r\nHost: u.test\r\n\r\n';
  const count = 4096 / unknown.length;
  const body = head('GET /EVIL HTTP/1.1\r\nHost: a.test\r\n', 64).repeat(8000);
  const post = head(`POST /ok HTTP/1.1\r\nHost: a.test\r\nContent-Length: ${body.length}\r\n`, 128);
  socket.pause();
  socket.write(unknown.repeat(4 * count) + post + body);
  const { counters } = tls.rig.proxy.dataPlane;
  await until('the first requests', () => counters.requests > 0);
  const begun = performance.now();
  await until('the proxy to stop', () => performance.now() - begun > 500);
  let received = '';
  socket.on('data', (bytes: Buffer) => {
    received += bytes.toString('latin1');
  });
  socket.resume();
  await until('the response to the last request', () => received.includes('POST /ok'));
  assert.deepEqual(
    tls.rig.backend.requests.map(({ startLine }) => startLine),
    ['POST /ok HTTP/1.1'],
  );
  assert.equal(received.match(/ROUTE_NOT_FOUND/g)?.length, 4 * count);
});
