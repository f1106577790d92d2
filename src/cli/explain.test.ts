import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explainHost, parseHost } from '../operations/explain.ts';
import type { DownMark } from '../routing/backend.ts';
import type { RouteReader, StoredRoute } from '../stores/contract.ts';
import { explanationText } from './explain.ts';

const nowMs = Date.UTC(2026, 10, 22, 10, 0, 0);

function routesOf(records: Readonly<Record<string, StoredRoute>>): RouteReader {
  return { read: async (patterns) => patterns.map((pattern) => records[pattern] ?? null) };
}

function host(urls: readonly unknown[], down: Readonly<Record<string, DownMark>> = {}): StoredRoute {
  return { frontend: urls, down: new Map(Object.entries(down)) };
}

function mark(untilMs: number): DownMark {
  return { untilMs, sinceMs: nowMs - 18_000, reason: 'BACKEND_CONNECT_REFUSED', instance: 'web-1' };
}

test('the patterns tried are those of the lookup, in order, up to the match', async () => {
  const routes = routesOf({ '*.example.com': host(['shop', 'http://x']), '*': host(['all', 'http://y']) });
  const explanation = await explainHost(parseHost('WWW.App.Example.com:8080'), routes, nowMs);
  assert.equal(explanation.host, 'www.app.example.com');
  assert.deepEqual(explanation.tried, [
    { pattern: 'www.app.example.com', matched: false },
    { pattern: '*.app.example.com', matched: false },
    { pattern: '*.example.com', matched: true },
  ]);
  assert.equal(explanation.id, 'shop');
});

test('a dead mark is shown with its end, reason and instance', async () => {
  const routes = routesOf({
    'a.com': host(['a', 'http://x:1', 'http://y:22#weight=3', 'http://z'], {
      'http://y:22': mark(nowMs + 12_000),
      'http://z': mark(nowMs - 1),
    }),
  });
  const explanation = await explainHost('a.com', routes, nowMs);
  assert.deepEqual(
    explanation.backends.map(({ url, dead }) => [url, dead?.remainingMs ?? 0]),
    [
      ['http://x:1', 0],
      ['http://y:22', 12_000],
      ['http://z', 0],
    ],
  );
  const text = explanationText(explanation);
  assert.match(
    text,
    /^ {10}1 {2}http:\/\/y:22 {2}weight 3 {2}dead until 2026-11-2\dT\S+ \(in 12 s\): BACKEND_CONNECT_REFUSED, marked by web-1$/m,
  );
  assert.match(text, /^ {10}2 {2}http:\/\/z {5}weight 1 {2}up$/m);
});

test('problems of the record are shown, and if no backend is left', async () => {
  const text = async (record: StoredRoute) =>
    explanationText(await explainHost('a.com', routesOf({ 'a.com': record }), nowMs));
  assert.match(await text(host(['a', 'ftp://x', 5])), /none usable[\s\S]*problems {2}backend 0 "ftp:\/\/x"/);
  const all = await text(
    host(['a', 'http://x', 'http://y'], { 'http://x': mark(nowMs + 1), 'http://y': mark(nowMs + 9) }),
  );
  assert.match(all, /Every backend is marked dead/);
  assert.match(await text(host(['a', 'http://x'], { 'http://x': mark(Number.MAX_VALUE) })), /The only backend/);
});

test('an empty record is skipped, but not an unreadable one', async () => {
  const others = { '*.com': host(['id', 'http://x']) };
  const empty = await explainHost('a.com', routesOf({ ...others, 'a.com': host([]) }), nowMs);
  assert.equal(empty.matched, '*.com');
  const damaged = { ...host([]), problem: 'the record is not JSON' };
  const explanation = await explainHost('a.com', routesOf({ ...others, 'a.com': damaged }), nowMs);
  assert.equal(explanation.matched, 'a.com');
  assert.deepEqual(explanation.problems, ['the record is not JSON']);
});

test('a host without a match is shown as such', async () => {
  const explanation = await explainHost('a.com', routesOf({}), nowMs);
  assert.equal(explanation.matched, null);
  assert.match(explanationText(explanation), /\*\.com {2}no route\n {7}\* {6}no route\nNo route matches/);
});
