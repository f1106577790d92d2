import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ListedOptions } from '../operations/options.ts';
import { Commands } from './commands.suite.ts';

test('options are set, listed, explained and removed', async () => {
  const on = new Commands();
  await on.run(['route', 'set', 'a.example.com', 'http://10.0.0.1:80']);
  const set = await on.run(['option', 'set', 'a.example.com', 'requestsMax', '5', 'retryFor', '2s']);
  assert.deepEqual(set, { code: 0, out: 'a.example.com: set requestsMax = 5, retryFor = 2s\n', err: '' });
  await on.run(['option', 'set', '*', 'requestsMax', '9', 'tunnelsMax', '7']);
  assert.deepEqual((await on.run(['option', 'list'])).out.split('\n'), [
    '*  requestsMax = 9',
    '   tunnelsMax = 7',
    'a.example.com  requestsMax = 5',
    '               retryFor = 2s',
    '',
  ]);
  assert.deepEqual((await on.run(['option', 'explain', 'a.example.com'])).out.split('\n'), [
    'host     a.example.com  (route a.example.com)',
    'options  requestsMax  5   from a.example.com',
    '         tunnelsMax   7   from *',
    '         retryFor     2s  from a.example.com',
    '',
  ]);
  const explained = JSON.parse((await on.run(['explain', 'a.example.com', '--json'])).out);
  assert.deepEqual(explained.options, [
    { name: 'requestsMax', value: '5', from: 'a.example.com' },
    { name: 'tunnelsMax', value: '7', from: '*' },
    { name: 'retryFor', value: '2s', from: 'a.example.com' },
  ]);
  const unset = await on.run(['option', 'unset', 'a.example.com', 'requestsMax', '--json']);
  assert.deepEqual(JSON.parse(unset.out), {
    pattern: 'a.example.com',
    options: { retryFor: '2s' },
    problems: [],
    set: [],
    unset: ['requestsMax'],
    hasRoute: true,
  });
  assert.equal((await on.run(['option', 'unset', 'a.example.com', '--all'])).out, 'a.example.com: removed retryFor\n');
  assert.equal((await on.run(['option', 'list', 'a.example.com'])).out, 'a.example.com has no options\n');
});

test('an unknown option or a wrong value is refused by name, and nothing is written', async () => {
  const on = new Commands();
  for (const [args, message] of [
    [['requestMax', '5'], /there is no option "requestMax" \(did you mean requestsMax\?\)\. Nothing is written/],
    [['requestsMax', '0'], /option requestsMax: found "0", allowed a whole number from 1 to 1000000\. Nothing/],
    [['tunnelsMax', '1', 'retryFor', '30'], /option retryFor: found "30", allowed a time from 0s to 1d, with its unit/],
    [['tunnelsMax', '1', 'retryFor'], /the option retryFor has no value/],
    [['tunnelsMax', '1', 'tunnelsMax', '2'], /an option is given twice/],
  ] as const) {
    const { code, err, out } = await on.run(['option', 'set', 'a.com', ...args]);
    assert.deepEqual([code, out], [2, '']);
    assert.match(err, message);
  }
  assert.equal((await on.run(['option', 'list'])).out, '');
  assert.equal((await on.run(['option', 'set', 'http://a.com', 'tunnelsMax', '1'])).code, 2);
});

test('an option that is not there cannot be removed, and one that is unknown can', async () => {
  const on = new Commands();
  await on.run(['option', 'set', 'a.com', 'tunnelsMax', '1']);
  const missing = await on.run(['option', 'unset', 'a.com', 'requestsMax']);
  assert.deepEqual(missing, {
    code: 3,
    out: '',
    err: 'hipache: a.com has no option requestsMax. Nothing is written\n',
  });
  assert.equal((await on.run(['option', 'unset', 'b.com', '--all'])).code, 3);
  assert.equal((await on.run(['option', 'unset', 'a.com'])).code, 2);
  const { out } = await on.run(['route', 'import'], '{"options": {"pattern": "a.com", "options": {"future": 1}}}\n');
  assert.equal(out, '0 routes and options of 1 hosts: 0 created, 1 replaced, 0 already there\n');
  assert.match((await on.run(['option', 'list', 'a.com'])).out, /future = 1\n +problem: there is no option "future"/);
  assert.equal((await on.run(['option', 'unset', 'a.com', 'future'])).code, 0);
});

test('options of a host without a route are noted, those of a wildcard are not', async () => {
  const on = new Commands();
  const exact = await on.run(['option', 'set', 'a.com', 'tunnelsMax', '1']);
  assert.equal(exact.out, 'a.com: set tunnelsMax = 1; it has no route, and options do nothing without one\n');
  assert.equal((await on.run(['option', 'set', '*.com', 'tunnelsMax', '1'])).out, '*.com: set tunnelsMax = 1\n');
  assert.equal((await on.run(['option', 'set', '*.com', 'tunnelsMax', '1'])).out, '*.com: nothing changed\n');
  const { code, out } = await on.run(['option', 'explain', 'a.com']);
  assert.deepEqual([code, out], [3, 'host  a.com  (no route matches, so no options hold)\n']);
});

test('options that another program has written wrongly are skipped and shown', async () => {
  const on = new Commands();
  await on.run(['route', 'set', 'a.com', 'http://10.0.0.1:80']);
  const lines = [
    '{"options": {"pattern": "a.com", "options": {"tunnelsMax": "many", "requestsMax": 3, "fly": "yes"}}}',
  ];
  await on.run(['route', 'import'], lines.join('\n'));
  const { out } = await on.run(['explain', 'a.com']);
  assert.match(out, /options +requestsMax +3 +from a\.com\n/);
  assert.match(out, /option tunnelsMax: found "many", allowed a whole number/);
  assert.match(out, /there is no option "fly"/);
});

test('every option is listed with its values, its default and its meaning', async () => {
  const { out } = await new Commands().run(['option', 'names']);
  assert.match(out, /\nrequestsMax\n {2}Active requests .*\n {2}Allowed: a whole number from 1 to 1000000\. Default: /);
  const names = JSON.parse((await new Commands().run(['option', 'names', '--json'])).out);
  assert.ok(names.some(({ name }: { name: string }) => name === 'requestsMax'));
});

test('options travel with exported routes, before them, and an import that is repeated changes nothing', async () => {
  const [from, to] = [new Commands(), new Commands()];
  await from.run(['route', 'set', 'a.com', 'http://10.0.0.1:80']);
  await from.run(['option', 'set', 'a.com', 'tunnelsMax', '1']);
  await from.run(['option', 'set', '*', 'requestsMax', '9']);
  const { out: lines } = await from.run(['route', 'export']);
  assert.deepEqual(lines.trimEnd().split('\n'), [
    '{"options":{"pattern":"*","options":{"requestsMax":"9"}}}',
    '{"options":{"pattern":"a.com","options":{"tunnelsMax":"1"}}}',
    '{"route":{"pattern":"a.com","frontend":["a.com","http://10.0.0.1:80"]}}',
  ]);
  const first = await to.run(['route', 'import'], lines);
  assert.equal(first.out, '1 routes and options of 2 hosts: 3 created, 0 replaced, 0 already there\n');
  assert.equal((await to.run(['route', 'import'], lines)).out.includes('3 already there'), true);
  assert.equal((await to.run(['option', 'list', '--json'])).out, (await from.run(['option', 'list', '--json'])).out);
  const bad = await to.run(['route', 'import'], '{"options": {"pattern": "a.com", "options": [1]}}\n');
  assert.deepEqual([bad.code, bad.out], [2, '']);
  assert.match(bad.err, /line 1: "options" is not a JSON object/);
});

test('a value is read from a file, and shown in part if it is long', async () => {
  const on = new Commands();
  await on.run(['route', 'set', 'a.com', 'http://10.0.0.1:80']);
  const page = `<!doctype html><title>away</title>${'<p>ä'.repeat(200)}`;
  const file = on.write('page.html', page);
  const set = await on.run(['option', 'set', 'a.com', 'errorPage', `@${file}`]);
  assert.equal(set.out, `a.com: set errorPage = ${page.slice(0, 60)}… (834 characters)\n`);
  const { out } = await on.run(['option', 'list', 'a.com', '--json']);
  assert.equal((JSON.parse(out) as ListedOptions).options['errorPage'], page);
  for (const [name, problem] of [
    ['none.html', /^hipache: the option errorPage: .*none\.html does not exist\n$/],
    ['', /^hipache: the option errorPage: /],
  ] as const) {
    const { code, err } = await on.run(['option', 'set', 'a.com', 'errorPage', `@${name}`]);
    assert.equal(code, 2);
    assert.match(err, problem);
  }
  // Its value may begin with "@".
  const text = await on.run(['option', 'set', 'a.com', 'healthText', '@none.html']);
  assert.equal(text.out, 'a.com: set healthText = @none.html\n');
});

test('a line for basicAuth is made of a password, which is shown nowhere', async () => {
  const on = new Commands();
  const { code, err, out } = await on.run(['option', 'password', 'ann'], 'secret\n');
  assert.deepEqual([code, err], [0, '']);
  assert.match(out, /^ann:\$argon2id\$v=19\$m=65536,t=3,p=4\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}\n$/);
  assert.equal((await on.run(['option', 'password', 'a:b'], 'secret\n')).code, 2);
  assert.equal((await on.run(['option', 'password', 'ann'], '\n')).code, 2);
  await on.run(['route', 'set', 'a.com', 'http://10.0.0.1:80']);
  const set = await on.run(['option', 'set', 'a.com', 'basicAuth', out.trim()]);
  assert.equal(set.out, 'a.com: set basicAuth = (secret)\n');
  for (const args of [
    ['option', 'list'],
    ['option', 'list', 'a.com', '--json'],
    ['explain', 'a.com'],
  ]) {
    assert.doesNotMatch((await on.run(args)).out, /argon2/);
  }
  const wrong = await on.run(['option', 'set', 'a.com', 'basicAuth', 'ann:secret']);
  assert.equal(wrong.code, 2);
  assert.doesNotMatch(wrong.err, /secret/);
});

test('explain shows what the rules of a host reply to a request', async () => {
  const on = new Commands();
  await on.run(['route', 'set', 'a.com', 'http://10.0.0.1:80']);
  await on.run(['option', 'set', 'a.com', 'deny', '10.0.0.0/8', 'https', 'redirect']);
  const replyTo = async (...args: string[]) => /^reply +(.*)$/m.exec((await on.run(['explain', ...args])).out)?.[1];
  assert.equal(
    await replyTo('a.com/b?c', '--client', '10.1.2.3'),
    '403 ACCESS_DENIED (client ::ffff:10.1.2.3); no backend is asked',
  );
  assert.equal(await replyTo('a.com/b?c'), '301 to https://a.com/b?c; no backend is asked');
  assert.equal(await replyTo('a.com/b', '--method', 'POST'), '308 to https://a.com/b; no backend is asked');
  assert.equal(await replyTo('a.com/b?c', '--https'), undefined);
  await on.run(['option', 'set', 'a.com', 'basicAuth', 'ann:$2b$05$x']);
  assert.match((await replyTo('a.com', '--https')) ?? '', /^401 CREDENTIALS_REQUIRED; no backend/);
  const headers = ['-H', 'X: 1', '-H', 'Authorization: Basic YW5uOng='];
  assert.equal(await replyTo('--https', ...headers, 'a.com'), undefined);
  assert.deepEqual(JSON.parse((await on.run(['explain', 'a.com', '--json'])).out).refusal, {
    status: 301,
    code: null,
    location: 'https://a.com/',
    detail: '',
  });
  await on.run(['option', 'set', 'a.com', 'basicAuth', 'off', 'forwardAuth', 'https://auth.test/check?token=x']);
  assert.equal(await replyTo('a.com', '--https'), 'depends on https://auth.test/check, which is asked first');
  assert.equal(await replyTo('a.com'), '301 to https://a.com/; no backend is asked');
  for (const args of [
    ['--client', 'home'],
    ['-H', 'no colon'],
  ]) {
    assert.equal((await on.run(['explain', 'a.com', ...args])).code, 2);
  }
  assert.match((await on.run(['explain', 'http://a.com/x'])).err, /leave out the scheme/);
});
