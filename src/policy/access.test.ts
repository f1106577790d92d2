import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Networks } from '../base/networks.ts';
import { FieldEdits } from '../http/field-lines.ts';
import { type AskedRequest, refusalBy } from './admission.ts';
import { AuthServers } from './auth-servers.ts';
import { BasicAuth } from './basic-auth.ts';
import { network } from './networks.ts';
import { listOf } from './option-type.ts';
import { admissionRules } from './policy-compiler.ts';
import { optionProblems, optionsInForce, shownOption } from './read-options.ts';

function asked(authorization: string | null = null): AskedRequest {
  const request = { bodyLength: 0, method: 'GET', path: '/', value: () => authorization };
  return {
    ended: false,
    hasToken: false,
    host: 'a.com',
    pattern: 'a.com',
    path: null,
    clientAddress: '::ffff:10.0.0.1',
    isSecure: true,
    clientTls: null,
    bodyBytes: 0,
    request: request as never,
    stream: { effects: null },
    identityEdits: () => new FieldEdits(0),
  };
}

const refusalWith = (options: Record<string, string>) => {
  const { values } = optionsInForce([{ pattern: 'a.com', options: new Map(Object.entries(options)) }]);
  const fetch = async () => ({ status: 200, fields: [], body: '' });
  const services = {
    checkPassword: async () => true,
    tokens: { take: () => 0, left: () => 0 },
    authServers: new AuthServers(fetch),
  };
  return refusalBy(admissionRules(values, services) ?? [], asked());
};

test('a rule for access that cannot be used at all lets nobody in', async () => {
  const long = `10.0.0.0/8 ${'# '.repeat(40_000)}`;
  for (const options of [{ allow: long }, { allow: '' }, { basicAuth: long }, { basicAuth: '' }]) {
    const status = (await refusalWith(options))?.status;
    assert.ok(status === 403 || status === 401, Object.keys(options).join());
  }
  assert.equal(await refusalWith({ allow: '10.0.0.0/8' }), null);
  assert.match(optionProblems(new Map([['allow', long]])).join(), /characters, allowed are/);
});

test('a thousand networks are a value, and hosts with the same list share one set', () => {
  const text = Array.from({ length: 1000 }, (_, i) => `203.${i % 250}.${Math.floor(i / 250)}.0/24`).join(', ');
  assert.deepEqual(optionProblems(new Map([['allow', text]])), []);
  const lists = ['a.com', 'b.com'].map((pattern) => optionsInForce([{ pattern, options: new Map([['allow', text]]) }]));
  const [one, other] = lists.map(({ values }) => values.allow);
  assert.ok(one !== undefined && one === other);
  assert.equal(Networks.of(one ?? []), Networks.of(other ?? []));
  assert.notEqual(Networks.of(listOf(network, 10).parse('10.0.0.1', []) ?? []), Networks.of(one ?? []));
});

test('requests with the same credentials share one check, and those of one host may not fill the queue', async () => {
  const checks: ((isRight: boolean) => void)[] = [];
  const rule = new BasicAuth(new Map([['ann', '$2b$x']]), () => new Promise((resolve) => void checks.push(resolve)));
  const basic = (password: string) => asked(`Basic ${Buffer.from(`ann:${password}`).toString('base64')}`);
  const same = Array.from({ length: 50 }, () => rule.refuse(basic('right')));
  assert.equal(checks.length, 1);
  const wrong = Array.from({ length: 50 }, (_, i) => rule.refuse(basic(`wrong${i}`)));
  assert.equal(checks.length, 10);
  checks.forEach((resolve, i) => void resolve(i === 0));
  for (const refusal of await Promise.all(same)) assert.equal(refusal, null);
  const statuses = (await Promise.all(wrong)).map((refusal) => refusal?.status);
  assert.deepEqual(
    [statuses.filter((status) => status === 401).length, statuses.filter((status) => status === 503).length],
    [9, 41],
  );
  assert.equal(rule.refuse(basic('right')), null);
});

test('a secret is not shown, also if the name of its option is misspelled', () => {
  for (const name of ['basicAuth', 'BasicAuth', 'stickykey', 'stickyKey'])
    assert.equal(shownOption(name, 'x'), '(secret)');
  assert.equal(shownOption('allow', 'x'), 'x');
});
