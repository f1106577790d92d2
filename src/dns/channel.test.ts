import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { readdirSync, readlinkSync } from 'node:fs';
import { test } from 'node:test';
import { until } from '../../test/helpers/until.ts';
import { type DnsChannel, type FamilyResult, openAresChannel } from './channel.ts';

function ask(channel: DnsChannel, name: string): Promise<FamilyResult> {
  return new Promise((resolve) => channel.ask(name, 4, resolve));
}

/** The sockets of this process that are open. */
function sockets(): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:');
    } catch {
      return false;
    }
  }).length;
}

test('a channel that cannot be opened, or a name that cannot be asked for, is a failed query', async () => {
  assert.deepEqual(await ask(openAresChannel('300.1.1.1', 1000), 'a.test'), { code: 'ERR_INVALID_IP_ADDRESS' });
  assert.deepEqual(await ask(openAresChannel('127.0.0.1:1', 1000), 'a..b'), { code: 'EBADNAME' });
  assert.deepEqual(await ask(openAresChannel('127.0.0.1:1', 1000), 'a.test'), { code: 'ECONNREFUSED' });
});

test('a cancelled channel has no socket any longer', async (context) => {
  const silent = createSocket('udp4');
  context.after(() => silent.close());
  let received = 0;
  silent.on('message', () => {
    received++;
  });
  await new Promise<void>((resolve) => silent.bind(0, '127.0.0.1', resolve));
  const before = sockets();
  const channel = openAresChannel(`127.0.0.1:${silent.address().port}`, 60_000);
  const results = [ask(channel, 'a.test'), ask(channel, 'b.test')];
  await until('the queries to be sent', () => received === 2);
  assert.ok(sockets() > before);
  channel.cancel();
  assert.deepEqual(await Promise.all(results), [{ code: 'ECANCELLED' }, { code: 'ECANCELLED' }]);
  await until('its socket to be closed', () => sockets() === before);
});
