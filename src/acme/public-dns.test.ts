import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { ZoneServer } from '../../test/helpers/zone-server.ts';
import { PublicDns } from './public-dns.ts';

describe('the public DNS', () => {
  /** The resolver, and the name server of the zone. */
  let resolver: ZoneServer;
  let zone: ZoneServer;
  let dns: PublicDns;

  before(async () => {
    [resolver, zone] = await Promise.all([ZoneServer.start(), ZoneServer.start()]);
    dns = new PublicDns({ servers: [resolver.address], timeoutMs: 1000, zonePort: zone.port });
  });
  after(() => {
    resolver.close();
    zone.close();
  });
  beforeEach(() => {
    for (const server of [resolver, zone]) {
      server.records.clear();
      server.queries.length = 0;
    }
  });

  test('has the addresses of a name, and says what is missing', async () => {
    resolver.records.set('A shop.example', ['192.0.2.1', '192.0.2.2']);
    assert.deepEqual(await dns.addresses('shop.example'), ['192.0.2.1', '192.0.2.2']);
    await assert.rejects(dns.addresses('none.example'), /^AcmeError: it does not exist .*needs an A or AAAA record/);
    const deaf = new PublicDns({ servers: ['127.0.0.1:1'], timeoutMs: 50 });
    await assert.rejects(deaf.addresses('shop.example'), /its name servers do not say where it is \(E/);
    await assert.rejects(deaf.texts('shop.example'), /do not say which records it has/);
  });

  test('has texts, also long ones', async () => {
    const long = 'x'.repeat(400);
    resolver.records.set('TXT shop.example', ['a', long]);
    assert.deepEqual(await dns.texts('shop.example'), ['a', long]);
    assert.deepEqual(await dns.texts('none.example'), []);
  });

  test('follows aliases, and does not go round in circles', async () => {
    resolver.records.set('CNAME _acme-challenge.shop.example', ['shop.proofs.example']);
    assert.equal(await dns.target('_acme-challenge.shop.example'), 'shop.proofs.example');
    assert.equal(await dns.target('other.example'), 'other.example');
    resolver.records.set('CNAME a.example', ['b.example']).set('CNAME b.example', ['a.example']);
    assert.match(await dns.target('a.example'), /^[ab]\.example$/);
  });

  const record = { name: '_acme-challenge.shop.example', value: 'proof' };

  test('has a record once every name server of the zone has it', async () => {
    resolver.records.set('NS shop.example', ['ns.example']).set('A ns.example', ['127.0.0.1']);
    // What the resolver has does not count: it may be old.
    resolver.records.set(`TXT ${record.name}`, [record.value]);
    await assert.rejects(dns.present(record, 0), (error: Error) => {
      assert.match(
        error.message,
        /^127\.0\.0\.1:\d+ did not have the TXT record _acme-challenge\.shop\.example within 0 s$/,
      );
      return true;
    });
    const present = dns.present(record, 60_000);
    zone.records.set(`TXT ${record.name}`, ['that of another order', record.value]);
    await present;
  });

  test('asks the servers that it has, where it cannot find those of the zone', async () => {
    await assert.rejects(dns.present(record, 0), /^AcmeError: the name servers did not have/);
    resolver.records.set(`TXT ${record.name}`, [record.value]);
    await dns.present(record, 0);
    assert.deepEqual(zone.queries, []);
  });
});
