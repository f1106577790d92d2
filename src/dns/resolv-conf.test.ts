import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { namesToTry, parseResolvConf } from './resolv-conf.ts';

describe('resolv.conf', () => {
  test('names servers, the search list and ndots', () => {
    const text = [
      '# a comment',
      'nameserver 10.0.0.1',
      'nameserver\tfe80::1%eth0 ; the second',
      'nameserver ns.example.com',
      'nameserver 10.0.0.3',
      'nameserver 10.0.0.4',
      'search Default.svc.cluster.local svc.cluster.local. svc.cluster.local',
      'options edns0 ndots:5 trust-ad',
      ' nameserver 10.0.0.9',
      'sortlist 10.0.0.0',
    ].join('\r\n');
    assert.deepEqual(parseResolvConf(text, 'a.example.com'), {
      servers: ['10.0.0.1', 'fe80::1%eth0', '10.0.0.3'],
      search: ['default.svc.cluster.local', 'svc.cluster.local'],
      ndots: 5,
    });
  });

  test('that is empty means a server on this machine and the domain of this machine', () => {
    const ofHost = (hostname: string) => parseResolvConf('', hostname);
    assert.deepEqual(ofHost('a.example.com'), { servers: ['127.0.0.1'], search: ['example.com'], ndots: 1 });
    assert.deepEqual(ofHost('a').search, []);
  });

  test('is read with the last of several lines', () => {
    const searchOf = (text: string) => parseResolvConf(text, 'a.b').search;
    assert.deepEqual(searchOf('domain a.test\nsearch b.test c.test'), ['b.test', 'c.test']);
    assert.deepEqual(searchOf('search b.test c.test\ndomain a.test d.test'), ['a.test']);
    assert.deepEqual(searchOf('search'), []);
    assert.deepEqual(searchOf('search . .. .x a..b'), ['']);
  });

  test('has at most 15 for ndots, and nonsense counts as not written', () => {
    const ndotsOf = (options: string) => parseResolvConf(`options ${options}`, 'a').ndots;
    assert.deepEqual(['ndots:0', 'ndots:99', 'ndots:-1', 'ndots:x', 'ndots:2 ndots:3'].map(ndotsOf), [0, 15, 1, 1, 3]);
  });
});

describe('the names to try', () => {
  const of = (name: string, ndots: number, search = ['x.test', 'y.test']) =>
    namesToTry(name, { servers: [], search, ndots }).join(' ');

  test('are those in the search list first for a name with few dots, and last for others', () => {
    assert.equal(of('a', 1), 'a.x.test a.y.test a');
    assert.equal(of('a.b', 1), 'a.b a.b.x.test a.b.y.test');
    assert.equal(of('a.b', 2), 'a.b.x.test a.b.y.test a.b');
    assert.equal(of('a', 0), 'a a.x.test a.y.test');
  });

  test('are one for a name with a dot at the end, or without a search list', () => {
    assert.equal(of('a.b.', 5), 'a.b');
    assert.equal(of('a', 1, []), 'a');
    assert.equal(of('a', 1, ['']), 'a');
  });
});
