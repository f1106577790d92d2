import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { describe, test } from 'node:test';
import { askedBy } from '../../test/helpers/asked.ts';
import { networkOf } from '../base/client-network.ts';
import type { Backend } from './backend.ts';
import { ByHash } from './by-hash.ts';
import { groupOf, isInCanary } from './canary.ts';
import type { Canary, Frontend } from './frontend.ts';
import { buildFrontend } from './record.ts';
import { StickyCookie } from './sticky-cookie.ts';

const clients = Array.from({ length: 10_000 }, (_, i) => `::ffff:10.${i % 7}.${(i >> 8) & 255}.${i & 255}`);
const networks = Array.from({ length: 10_000 }, (_, i) => `2001:db8:${(i >> 4).toString(16)}:${i.toString(16)}::1`);
const inCanary = (share: number, all: readonly string[], pattern = 'a.com'): Set<string> =>
  new Set(all.filter((client) => isInCanary({ pattern, share }, client)));

const mark = { untilMs: 100, sinceMs: 0, reason: 'x', instance: 'i' };
const urls = ['http://1:1', 'http://2:1', 'http://3:1#canary=5', 'http://4:1#canary=5'];
const frontendOf = (...elements: string[]): Frontend & { canary: Canary } => {
  const frontend = buildFrontend('a.com', { frontend: ['id', ...elements], down: new Map() });
  return { ...frontend, canary: frontend.canary as Canary };
};
const [inside] = inCanary(5, clients) as unknown as [string];
const outside = clients.find((client) => !isInCanary({ pattern: 'a.com', share: 5 }, client)) as string;

describe('the clients of a canary', () => {
  test('are its share, within 1 % of all', () => {
    for (const all of [clients, networks]) {
      for (const share of [0.1, 5, 12.5, 50, 99.9]) {
        const percent = (inCanary(share, all).size / all.length) * 100;
        assert.ok(Math.abs(percent - share) < 1, `${percent} % at a share of ${share} %`);
      }
    }
  });

  test('stay while the share grows', () => {
    let before = inCanary(0.1, clients);
    for (const share of [5, 20, 50, 99.9]) {
      const now = inCanary(share, clients);
      assert.ok(now.isSupersetOf(before));
      before = now;
    }
  });

  test('are others for another host', () => {
    const both = inCanary(5, clients).intersection(inCanary(5, clients, 'b.com'));
    assert.ok(both.size < 60, `${both.size} of 10,000 are in both`);
  });

  test('are the same in every version of Hipache', () => {
    const share = { pattern: '*.a.com', share: 5 };
    const found = clients.slice(0, 160).filter((client) => isInCanary(share, client));
    const expected = ['10.6.0.55', '10.5.0.68', '10.1.0.78', '10.3.0.115', '10.4.0.151'];
    assert.deepEqual(found.map(networkOf), expected);
  });

  test('are spread evenly over its backends by the hash of the client too', () => {
    const { canary } = frontendOf(...urls);
    const counts = new Map<string, number>();
    for (const client of inCanary(20, clients)) {
      const url = new ByHash({ kind: 'client' }).choose(canary, askedBy(client), null, 0)?.url ?? '';
      counts.set(url, (counts.get(url) ?? 0) + 1);
    }
    for (const url of ['http://3:1', 'http://4:1'])
      assert.ok((counts.get(url) ?? 0) > 700, `${url}: ${counts.get(url)}`);
  });
});

describe('the group of a request', () => {
  const group = (frontend: Frontend & { canary: Canary }, client: string, isFirst = true): string =>
    groupOf(frontend, frontend.canary, askedBy(client), isFirst, null, 50) === frontend ? 'ordinary' : 'canary';

  test('is the canary for its clients, and never for others', () => {
    const frontend = frontendOf(...urls);
    assert.deepEqual([group(frontend, inside), group(frontend, outside)], ['canary', 'ordinary']);
    for (const backend of frontend.backends) backend.down = mark;
    assert.deepEqual([group(frontend, inside), group(frontend, outside)], ['canary', 'ordinary']);
  });

  test('is the ordinary one for a retry, and while all canaries are marked', () => {
    const frontend = frontendOf(...urls);
    assert.equal(group(frontend, inside, false), 'ordinary');
    const [first, second] = frontend.canary.backends as [Backend, Backend];
    first.down = mark;
    assert.equal(group(frontend, inside), 'canary');
    second.drainUntilMs = 60;
    assert.equal(group(frontend, inside), 'ordinary');
    first.down = { ...mark, untilMs: 50 };
    assert.equal(group(frontend, inside), 'canary');
  });

  test('is that of the backend that a sticky cookie names', () => {
    const cookie = new StickyCookie('sid', 'key', null);
    const digestOf = (url: string): string =>
      createHmac('sha256', 'key').update(`a.com ${url}`).digest('hex').slice(0, 16);
    const frontend = frontendOf(...urls);
    const chosen = (client: string, url: string): string => {
      const asked = askedBy(client, ['Cookie', `sid=${digestOf(url)}`]);
      return groupOf(frontend, frontend.canary, asked, true, cookie, 50) === frontend ? 'ordinary' : 'canary';
    };
    for (const client of [inside, outside]) {
      assert.equal(chosen(client, 'http://2:1'), 'ordinary');
      assert.equal(chosen(client, 'http://3:1'), 'canary');
    }
    assert.deepEqual([chosen(inside, 'http://9:1'), chosen(outside, 'http://9:1')], ['canary', 'ordinary']);
    for (const backend of frontend.canary.backends) backend.down = mark;
    assert.equal(chosen(inside, 'http://3:1'), 'ordinary');
  });
});
