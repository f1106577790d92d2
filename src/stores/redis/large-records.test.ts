import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RedisServer } from '../../../test/helpers/redis-server.ts';
import { buildFrontend } from '../../routing/record.ts';
import { openRedis } from './redis-store.ts';

test('of a list of 100,000 backends only those that count are read, and the rest is reported', async (t) => {
  const server = await RedisServer.start();
  t.after(() => server.remove());
  const script = `for i = 1, 100 do local urls = {}
    for j = 1, 1000 do urls[j] = "http://10.0.0.1:" .. (i * 100 + j % 100) .. "/" .. i .. "." .. j end
    redis.call("RPUSH", KEYS[1], unpack(urls)) end`;
  await server.cli('rpush', 'frontend:a.example', 'id');
  await server.cli('eval', script, '1', 'frontend:a.example');
  assert.equal(await server.cli('llen', 'frontend:a.example'), '100001');
  const store = await openRedis([server.url], { serving: true });
  t.after(() => store.close());
  const before = await outputBytes(server);
  const [record] = await store.routes.read(['a.example']);
  const page = await store.routes.list('', 10);
  const mark = { untilMs: Date.now() + 60_000, sinceMs: 0, reason: 'test', instance: 'test' };
  await store.marks.write('a.example', String(record?.frontend[10_000]), mark);
  // 10,001 elements of about 30 bytes, three times; the whole list has 3.5 MB.
  assert.ok((await outputBytes(server)) - before < 2_000_000, 'the whole list was sent');
  assert.ok(record && page[0]);
  assert.ok(record.frontend.length === 10_001 && page[0].frontend.length <= 10_002);
  const { backends, problems } = buildFrontend('a.example', record);
  assert.equal(backends.length, 10_000);
  assert.deepEqual(
    problems.map(({ message }) => message).filter((message) => message.includes('10000')),
    ['backends after the first 10000 are not read'],
  );
  const [marked] = await store.routes.read(['a.example']);
  assert.equal(marked?.down.size, 1);
});

async function outputBytes(server: RedisServer): Promise<number> {
  return Number(/total_net_output_bytes:(\d+)/.exec(await server.cli('info', 'stats'))?.[1]);
}
