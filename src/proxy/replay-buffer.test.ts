import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { get, Rig, request, response } from '../../test/helpers/rig.ts';
import { until } from '../../test/helpers/until.ts';
import { ReplayBuffer } from './replay-buffer.ts';

/** The content of a replay buffer. */
function given(buffer: ReplayBuffer): string {
  let all = '';
  buffer.sendTo({
    sendText: (text) => {
      all += text;
    },
    sendData: (bytes, start, end) => {
      all += bytes.latin1Slice(start, end);
    },
  });
  return all;
}

describe('a replay buffer', () => {
  test('yields what was added, before and after it is kept, any number of times', () => {
    const buffer = new ReplayBuffer();
    const bytes = Buffer.from('-one-two-');
    buffer.add(bytes, 1, 4);
    buffer.add(bytes, 5, 8);
    assert.equal(given(buffer), 'onetwo');
    buffer.keep();
    bytes.fill('x');
    assert.equal(given(buffer), 'onetwo');
    assert.equal(given(buffer), 'onetwo');
  });

  test('is dropped above its limit, whether kept or not', () => {
    const buffer = new ReplayBuffer();
    buffer.add(Buffer.from('12345'), 0, 5);
    buffer.dropAbove(5);
    assert.equal(buffer.isWhole, true);
    buffer.add(Buffer.from('6'), 0, 1);
    buffer.dropAbove(5);
    assert.equal(buffer.isWhole, false);
    assert.equal(given(buffer), '');
  });
});

describe('all connections are read into the same memory', () => {
  test('queued bodies arrive as they were sent', async (t) => {
    const rig = await Rig.start(t);
    rig.backend.serve(({ body }) => response(`${body.length} ${[...new Set(body)].join('')}`));
    const letters = [...'abcdefghijklmnopqrst'];
    const clients = await Promise.all(letters.map(() => rig.client()));
    // All in one turn, so that each body is read before any of them has a connection.
    clients.forEach((client, i) => {
      client.send(request('PUT / HTTP/1.1', 'Content-Length: 1000') + (letters[i] as string).repeat(1000));
    });
    await Promise.all(clients.map((client, i) => client.expect(`1000 ${letters[i]}`)));
  });

  test('a body of several reads is resent unchanged, whatever others have sent since', async (t) => {
    const rig = await Rig.start(t, { backends: 2, random: () => 0 });
    const [one, two] = rig.backends as [Rig['backend'], Rig['backend']];
    two.serve(({ body }) => response(`two got ${body}`));
    const client = await rig.send(`${request('PUT / HTTP/1.1', 'Content-Length: 15')}first`);
    await one.receive('first');
    client.send('secon');
    await one.receive('secon');
    client.send('third');
    await one.receive('third');
    const other = await rig.send(get(`/${'x'.repeat(1000)}`).replace('a.test', 'no-such-host.test'));
    await until('the other is answered', () => other.statuses.length === 1);
    (await one.peer()).socket.end();
    await client.expect('two got firstseconthird');
  });
});
