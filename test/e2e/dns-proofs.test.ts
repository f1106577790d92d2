import assert from 'node:assert/strict';
import { Resolver } from 'node:dns/promises';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { StrictAuthority } from '../helpers/strict-authority.ts';
import { until } from '../helpers/until.ts';
import { ZoneServer } from '../helpers/zone-server.ts';

describe('a wildcard', () => {
  let authority: StrictAuthority;
  let zone: ZoneServer;
  let home: HipacheHome;

  before(async () => {
    zone = await ZoneServer.start();
    authority = await StrictAuthority.start();
    const resolver = new Resolver();
    resolver.setServers([zone.address]);
    authority.settings.places = { resolveTxt: (name) => resolver.resolveTxt(name) };
  });
  after(async () => {
    await authority?.remove();
    zone?.close();
  });
  beforeEach(() => {
    home = new HipacheHome();
    zone.records.clear();
    writeFileSync(home.path('ca.pem'), authority.ca);
  });
  afterEach(() => home.remove());

  async function serve(acme: Readonly<Record<string, unknown>>): Promise<HipacheProcess> {
    home.configure({
      https: { bind: [{ address: '127.0.0.1', port: 0 }] },
      acme: {
        ...{ directory: authority.directoryUrl, ca: home.path('ca.pem'), hosts: 'all', nameServers: [zone.address] },
        ...acme,
      },
    });
    const proxy = await home.serve();
    await home.route('set', '*.shop.example', 'http://127.0.0.1:1');
    return proxy;
  }

  test('is proved by a standing record, which "cert why" prints', async () => {
    const proxy = await serve({ challenges: ['dns-persist-01'] });
    await until('the check', () => proxy.output.includes('no certificate is ordered: '));
    const why = (await home.run('cert', 'why', '*.shop.example')).stdout;
    const [, name = '', value = ''] = /^standing DNS record: (\S+) TXT "(.*)"$/m.exec(why) ?? [];
    assert.equal(name, '_validation-persist.shop.example');
    assert.match(value, /^strict\.example; accounturi=https:\S+; policy=wildcard$/);
    assert.ok(why.includes(`it needs the TXT record ${name} "${value}"`), why);
    zone.records.set(`TXT ${name}`, [value]);
    const ordered = await home.run('cert', 'order', '*.shop.example');
    assert.equal(ordered.code, 0, ordered.stderr);
    assert.match((await home.run('cert', 'show', '*.shop.example')).stdout, /^names +\*\.shop\.example$/m);
    assert.equal(authority.count('newOrder'), 1);
    assert.deepEqual(authority.violations, []);
  });

  test('is proved by a record that a program writes', async () => {
    const calls = home.path('calls');
    writeFileSync(home.path('hook'), `#!/bin/sh\necho "$*" >> '${calls}'\n`, { mode: 0o755 });
    const proxy = await serve({ dns: { command: home.path('hook') } });
    await until('the call', () => existsSync(calls) && readFileSync(calls, 'utf8').endsWith('\n'));
    const [action, name, value = ''] = readFileSync(calls, 'utf8').trim().split(' ');
    assert.deepEqual([action, name], ['present', '_acme-challenge.shop.example.']);
    zone.records.set('TXT _acme-challenge.shop.example', [value]);
    await until('the certificate', () => proxy.output.includes('*.shop.example: certificate issued by'), 30_000);
    assert.match(readFileSync(calls, 'utf8'), new RegExp(`\ncleanup _acme-challenge.shop.example. ${value}\n$`));
    assert.deepEqual(authority.violations, []);
  });
});
