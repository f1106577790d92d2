import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AuthServers } from './auth-servers.ts';
import type { WebResponse } from './web-fetch.ts';

test('a route has 200 requests under way, a worker 2,000, and each that ends makes room', async () => {
  const ends: ((response: WebResponse) => void)[] = [];
  const servers = new AuthServers(() => new Promise((resolve) => void ends.push(resolve)));
  const asking: Promise<WebResponse>[] = [];
  const request = { url: 'http://auth.test/', fields: [], timeoutMs: 1000, bodyBytesMax: 0 };
  for (let route = 0; route < 10; route++) {
    for (let i = 0; i < 200; i++) {
      assert.equal(servers.whyNot(`${route}.test`), '');
      asking.push(servers.ask(`${route}.test`, request));
    }
    assert.match(servers.whyNot(`${route}.test`), /^200 requests of the host/);
  }
  assert.match(servers.whyNot('another.test'), /^2000 requests wait/);
  ends[0]?.({ status: 200, fields: [], body: '' });
  await asking[0];
  assert.equal(servers.whyNot('another.test'), '');
  assert.equal(servers.whyNot('0.test'), '');
});

test('one that fails makes room as well', async () => {
  const servers = new AuthServers(async () => {
    throw new Error('refused');
  });
  const request = { url: 'http://auth.test/', fields: [], timeoutMs: 1000, bodyBytesMax: 0 };
  for (let i = 0; i < 300; i++) await assert.rejects(servers.ask('a.test', request), /refused/);
  assert.equal(servers.whyNot('a.test'), '');
});
