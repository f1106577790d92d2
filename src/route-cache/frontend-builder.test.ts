import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StoredRoute } from '../stores/contract.ts';
import { FrontendBuilder } from './frontend-builder.ts';

test('a backend that is added to a known record serves from then on, and one of an unknown record from ever', () => {
  let nowMs = 1000;
  const builder = new FrontendBuilder({
    clock: { epochMs: () => nowMs },
    wildcardsMax: 1,
    frontends: () => [],
    onForgotten: () => {},
  });
  const record = (...urls: string[]): StoredRoute => ({ frontend: ['id', ...urls], down: new Map() });
  const first = builder.build('a.com', record('http://a:1', 'http://b:1'), null, 1);
  nowMs = 2000;
  const second = builder.build('a.com', record('http://a:1', 'http://b:1', 'http://c:1'), first, 2);
  assert.deepEqual(
    second?.backends.map(({ servesSinceMs }) => servesSinceMs),
    [0, 0, 2000],
  );
});
