import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { callDnsHook } from './dns-hook.ts';

const record = { name: '_acme-challenge.shop.example', value: 'a-proof' };

describe('the program that writes records', () => {
  let folder: string;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'hipache-hook-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  function program(text: string): { kind: 'command'; path: string } {
    const path = join(folder, 'hook');
    writeFileSync(path, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    return { kind: 'command', path };
  }

  test('gets the action, the name and the value', async () => {
    const log = join(folder, 'calls');
    const hook = program(`echo "$#: $*" >> '${log}'`);
    await callDnsHook(hook, 'present', record);
    await callDnsHook(hook, 'cleanup', record);
    const line = `_acme-challenge.shop.example. a-proof\n`;
    assert.equal(readFileSync(log, 'utf8'), `3: present ${line}3: cleanup ${line}`);
  });

  test('is not waited for by what it leaves behind', async () => {
    const pidFile = join(folder, 'pid');
    await callDnsHook(program(`sleep 60 & echo $! > '${pidFile}'`), 'present', record);
    process.kill(Number(readFileSync(pidFile, 'utf8')));
  });

  test('says why it failed', async () => {
    const failed = callDnsHook(program('echo "no such zone" >&2; exit 3'), 'present', record);
    await assert.rejects(failed, /^AcmeError: the DNS hook \S+ did not present the record \S+: exit 3: no such zone$/);
    await assert.rejects(callDnsHook(program('kill -9 $$'), 'present', record), /did not present/);
    const missing = { kind: 'command', path: join(folder, 'none') } as const;
    await assert.rejects(callDnsHook(missing, 'cleanup', record), /did not cleanup .*ENOENT/);
  });
});

describe('the web service that writes records', () => {
  let server: Server;
  let requests: string[];
  let status: number;

  before(async () => {
    server = createServer(async (request, response) => {
      let body = '';
      for await (const part of request) body += part;
      requests.push(`${request.method} ${request.url} ${request.headers.authorization ?? ''} ${body}`);
      response.writeHead(status).end('said by the service');
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
  });
  after(() => server.close());

  const call = (action: 'present' | 'cleanup', username = '', path = '/dns/') => {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;
    return callDnsHook({ kind: 'url', url, username, password: 'secret' }, action, record);
  };

  test('gets a POST with the name and the value', async () => {
    [requests, status] = [[], 200];
    await call('present');
    await call('cleanup', 'user', '');
    const body = '{"fqdn":"_acme-challenge.shop.example.","value":"a-proof"}';
    assert.deepEqual(requests, [`POST /dns/present  ${body}`, `POST /cleanup Basic dXNlcjpzZWNyZXQ= ${body}`]);
  });

  test('says why it failed, without its password', async () => {
    [requests, status] = [[], 500];
    await assert.rejects(call('present', 'user'), (error: Error) => {
      assert.match(
        error.message,
        /^the DNS hook http:\/\/127\.0\.0\.1:\d+ did not present .*: status 500: said by the service$/,
      );
      return true;
    });
    const closed = { kind: 'url', url: 'http://127.0.0.1:1', username: '', password: '' } as const;
    await assert.rejects(callDnsHook(closed, 'present', record), /ECONNREFUSED|bad port/);
  });
});
