import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { Rig, response } from '../helpers/rig.ts';
import { until } from '../helpers/until.ts';

/** A program that sends complete requests and resets their connections at once. */
const program = `
const { connect } = require('node:net');
for (let count = 0; count < 50; count++) {
  const socket = connect(Number(process.argv[1]), '127.0.0.1', () => {
    socket.write('POST / HTTP/1.1\\r\\nHost: a.test\\r\\nContent-Length: 2\\r\\n\\r\\nhi', () => socket.resetAndDestroy());
  });
}`;

test('a connection that the client has reset before it is accepted is closed unread: its address is not known', async (t) => {
  const rig = await Rig.start(t);
  rig.backend.serve(() => response('served'));
  const { counters } = rig.proxy.dataPlane;
  // This call blocks the proxy, which therefore accepts after the resets.
  execFileSync(process.execPath, ['-e', program, String(rig.proxy.port)]);
  await until('the connections', () => counters.clientConnections + counters.clientConnectionsUnknown === 50);
  await rig.proxy.untilQuiet();
  assert.ok(counters.clientConnectionsUnknown > 0);
  for (const { fields } of rig.backend.requests) {
    assert.deepEqual(
      fields.filter(([name]) => name.toLowerCase() === 'x-forwarded-for').map(([, value]) => value),
      ['127.0.0.1'],
    );
  }
});
