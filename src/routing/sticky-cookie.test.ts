import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import { askedBy } from '../../test/helpers/asked.ts';
import type { Backend } from './backend.ts';
import type { Frontend } from './frontend.ts';
import { FrontendPacker, unpackFrontend } from './packed-frontend.ts';
import { buildFrontend } from './record.ts';
import { TwoRandomChoices } from './selector.ts';
import { ByCookie, StickyCookie } from './sticky-cookie.ts';

const urls = ['http://10.0.0.1:80', 'http://10.0.0.2:80', 'http://10.0.0.3:80'];
const frontendOf = (...more: string[]): Frontend =>
  buildFrontend('a.com', { frontend: ['id', ...urls, ...more], down: new Map() });
const digestOf = (key: string, pattern: string, url: string): string =>
  createHmac('sha256', key).update(`${pattern} ${url}`).digest('hex').slice(0, 16);

const cookie = new StickyCookie('sid', 'secret', null);
// It never chooses the third one: two draws of 0 are the first and the second.
const selector = new ByCookie(cookie, new TwoRandomChoices(() => 0));
const mark = { untilMs: 100, sinceMs: 0, reason: 'x', instance: 'i' };

/** The URL that a request with this field goes to. */
function chosen(frontend: Frontend, field: string, tried: readonly Backend[] | null = null): string | undefined {
  return selector.choose(frontend, askedBy('::1', ['Cookie', field]), tried, 50)?.url;
}

test('the value is the beginning of an HMAC of the pattern and the URL of the backend, without settings', () => {
  const frontend = buildFrontend('*.a.com', { frontend: ['id', 'http://10.0.0.1:80#weight=2'], down: new Map() });
  const [backend] = frontend.backends as [Backend];
  const value = digestOf('secret', '*.a.com', 'http://10.0.0.1:80');
  assert.equal(cookie.setCookie(frontend, backend, false), `sid=${value}; Path=/; HttpOnly; SameSite=Lax`);
  assert.equal(cookie.setCookie(frontend, backend, true), `sid=${value}; Path=/; HttpOnly; SameSite=Lax; Secure`);
  const own = new StickyCookie('sid', '', 'Path=/x; Max-Age=60');
  assert.equal(
    own.setCookie(frontend, backend, true),
    `sid=${digestOf('', '*.a.com', backend.url)}; Path=/x; Max-Age=60`,
  );
  // With the first key again.
  assert.equal(cookie.setCookie(frontend, backend, false), `sid=${value}; Path=/; HttpOnly; SameSite=Lax`);
});

test('a cookie leads to its backend, also of another worker, and after the frontend was packed', () => {
  for (const url of urls) {
    const field = `x=1; sid=${digestOf('secret', 'a.com', url)}`;
    assert.equal(chosen(frontendOf(), field), url);
    const packed = Buffer.from(new FrontendPacker().pack(frontendOf()));
    assert.equal(chosen(unpackFrontend('a.com', packed, 0), field), url);
  }
});

test('a forged, malformed or foreign cookie is none', () => {
  const right = digestOf('secret', 'a.com', urls[2] as string);
  const wrong = [
    digestOf('other', 'a.com', urls[2] as string),
    digestOf('secret', 'b.com', urls[2] as string),
    right.toUpperCase(),
    right.slice(1),
    `${right}0`,
    `"${right}"`,
    '',
    '2',
    urls[2] as string,
    '__proto__',
    'x'.repeat(10_000),
  ];
  for (const value of wrong) assert.notEqual(chosen(frontendOf(), `sid=${value}`), urls[2], value);
  assert.notEqual(chosen(frontendOf(), `other=${right}`), urls[2]);
  assert.equal(chosen(frontendOf(), `sid=${wrong[0]}; sid=${right}`), urls[2]);
});

test('a backend that is dead, drains, was removed or tried is not taken, and is again once it is back', () => {
  const frontend = frontendOf();
  const third = frontend.backends[2] as Backend;
  const field = `sid=${digestOf('secret', 'a.com', third.url)}`;
  assert.equal(chosen(frontend, field), third.url);
  assert.notEqual(chosen(frontend, field, [third]), third.url);
  third.down = mark;
  assert.notEqual(chosen(frontend, field), third.url);
  third.down = null;
  third.drainUntilMs = 7;
  assert.notEqual(chosen(frontend, field), third.url);
  third.drainUntilMs = null;
  assert.equal(chosen(frontend, field), third.url);
  const without = buildFrontend('a.com', { frontend: ['id', ...urls.slice(0, 2)], down: new Map() }, frontend);
  assert.notEqual(chosen(without, field), third.url);
  const back = buildFrontend('a.com', { frontend: ['id', ...urls], down: new Map() }, without);
  assert.equal(chosen(back, field), third.url);
});

test('nobody moves when backends are added, or change their weights or places', () => {
  const before = frontendOf();
  const fields = urls.map((url) => `sid=${digestOf('secret', 'a.com', url)}`);
  const changed = ['http://10.0.0.9:80', ...urls.map((url) => `${url}#weight=7`).toReversed()];
  const after = buildFrontend('a.com', { frontend: ['id', ...changed], down: new Map() }, before);
  for (const [i, field] of fields.entries()) assert.equal(chosen(after, field), urls[i]);
});

test('a backup keeps its clients only while no other backend can be used', () => {
  const frontend = frontendOf('http://10.0.0.4:80#backup', 'http://10.0.0.5:80#backup');
  const field = `sid=${digestOf('secret', 'a.com', 'http://10.0.0.5:80')}`;
  assert.equal(chosen(frontend, field), urls[0]);
  for (const backend of frontend.backends.slice(0, 3)) backend.down = mark;
  assert.equal(chosen(frontend, field), 'http://10.0.0.5:80');
});

test('a value is computed once for each object of a backend', () => {
  const frontend = frontendOf();
  chosen(frontend, 'sid=0');
  const kept = frontend.backends.map((backend) => backend.cookie);
  chosen(frontend, 'sid=1');
  const again = buildFrontend('a.com', { frontend: ['id', ...urls, 'http://10.0.0.4:80'], down: new Map() }, frontend);
  chosen(again, 'sid=1');
  for (const [i, value] of kept.entries()) assert.ok(value !== null && again.backends[i]?.cookie === value);
});
