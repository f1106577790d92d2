import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readLabels } from './labels.ts';

const usual = { name: '', port: null, scheme: 'http', network: null, published: null, fragment: '', options: {} };

test('a host alone is a group, and other labels say where it leads and how', () => {
  assert.deepEqual(readLabels({ 'hipache.host': 'App.Example.com', maintainer: 'me' }), {
    groups: [{ ...usual, hosts: ['app.example.com'] }],
    problems: [],
  });
  const all = {
    'hipache.host': 'a.example.com, *.b.example.com,c.example.com/api',
    'hipache.port': '3000',
    'hipache.scheme': 'h2c',
    'hipache.network': 'web',
    'hipache.published': 'false',
    'hipache.weight': '3',
    'hipache.backup': 'true',
    'hipache.option.requestsMax': '200',
  };
  assert.deepEqual(readLabels(all).groups, [
    {
      ...{ name: '', hosts: ['a.example.com', '*.b.example.com', 'c.example.com/api'], port: 3000, scheme: 'h2c' },
      ...{ network: 'web', published: false, fragment: '#weight=3&backup', options: { requestsMax: '200' } },
    },
  ]);
});

test('groups with names have ports of their own, and what holds for the container holds for them', () => {
  const { groups, problems } = readLabels({
    'hipache.network': 'web',
    'hipache.site.host': 'a.example.com',
    'hipache.site.port': '80',
    'hipache.admin.host': 'b.example.com',
    'hipache.admin.port': '9000',
    'hipache.admin.network': 'back',
    'hipache.admin.option.allow': '10.0.0.0/8',
  });
  assert.deepEqual(problems, []);
  assert.deepEqual(groups, [
    {
      ...usual,
      name: 'admin',
      hosts: ['b.example.com'],
      port: 9000,
      network: 'back',
      options: { allow: '10.0.0.0/8' },
    },
    { ...usual, name: 'site', hosts: ['a.example.com'], port: 80, network: 'web' },
  ]);
});

const host = { 'hipache.host': 'a.example.com' };
const wrong: readonly (readonly [labels: Record<string, string>, problem: RegExp])[] = [
  [{ 'hipache.hots': 'a' }, /no label hipache\.hots; did you mean hipache\.host\?/],
  [{ ...host, 'hipache.prot': '80' }, /no label hipache\.prot; did you mean hipache\.port\?/],
  [{ ...host, 'hipache.optoin.allow': 'x' }, /no label hipache\.optoin\.allow; did you mean hipache\.option\.allow\?/],
  [{ ...host, 'hipache.web.prt': '1' }, /no label hipache\.web\.prt; did you mean hipache\.web\.port\?/],
  [{ ...host, 'hipache.balancer': 'x' }, /no label hipache\.balancer; there are hipache\.host, hipache\.port, /],
  [{ ...host, 'hipache.option': 'x' }, /an option is written as hipache\.option\.requestsMax/],
  [{ ...host, 'hipache.host.x': '1' }, /no label hipache\.host\.x/],
  [{ ...host, 'hipache.': 'x' }, /there is no label hipache\./],
  [{ ...host, 'hipache.option.basicAuht': 'x' }, /hipache\.option\.basicAuht: .*did you mean basicAuth\?/],
  [{ ...host, 'hipache.option.requestsMax': 'many' }, /requestsMax: found "many", allowed/],
  [{ ...host, 'hipache.port': '80a' }, /hipache\.port: found "80a", allowed 1 to 65535/],
  [{ ...host, 'hipache.port': '65536' }, /allowed 1 to 65535/],
  [{ ...host, 'hipache.scheme': 'ftp' }, /hipache\.scheme: found "ftp", allowed http, https, h2c, h2/],
  [{ ...host, 'hipache.weight': '0' }, /hipache\.weight: found "0", allowed 1 to 1000/],
  [{ ...host, 'hipache.published': 'yes' }, /hipache\.published: found "yes", allowed true, false/],
  [{ 'hipache.port': '80' }, /hipache\.host is missing, and the other labels need it/],
  [{ 'hipache.host': ' , ' }, /hipache\.host is missing/],
  [{ ...host, 'hipache.web.port': '80' }, /hipache\.web\.host is missing/],
  [{ 'hipache.host': 'http://a.example.com' }, /hipache\.host: .*http:\/\/a\.example\.com/],
  [{ ...host, 'hipache.web.host': 'A.example.com' }, /the host a\.example\.com is named twice/],
  [
    { 'hipache.host': Array.from({ length: 101 }, (_, i) => `h${i}.example`).join() },
    /found 101 hosts, allowed are 100/,
  ],
  [{ ...host, 'hipache.we b.host': 'b.example' }, /the name "we b" has other characters/],
];

for (const [labels, problem] of wrong) {
  test(`wrong labels give no groups, and the problem is named: ${JSON.stringify(labels).slice(0, 80)}`, () => {
    const { groups, problems } = readLabels(labels);
    assert.deepEqual(groups, []);
    assert.match(problems.join('; '), problem);
  });
}
