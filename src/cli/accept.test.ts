import assert from 'node:assert/strict';
import { test } from 'node:test';
import { acceptRoutes } from '../operations/accept.ts';
import type { Store, StoredInstance } from '../stores/contract.ts';
import { acceptanceReport } from './accept.ts';

const nowMs = Date.UTC(2026, 10, 22, 10, 0, 0);

function storeOf(instances: readonly StoredInstance[] | null) {
  const written: string[] = [];
  const store = {
    acceptance: { read: async () => written.at(-1) ?? null, write: async (text: string) => void written.push(text) },
    instances: instances && { revision: async () => 7, list: async () => instances },
  } as unknown as Store;
  return { store, written };
}

test('the acceptance names the instances that hold routes', async () => {
  const { store, written } = storeOf([
    { instance: 'web-1', fields: { held: '150' } },
    { instance: 'web-2', fields: { held: '0' } },
    { instance: 'web-3', fields: {} },
  ]);
  const acceptance = await acceptRoutes(store, nowMs);
  assert.deepEqual(acceptance, {
    accepted: '2026-11-22T10:00:00.000Z',
    holding: [{ instance: 'web-1', heldRoutes: 150 }],
  });
  assert.match(
    acceptanceReport(acceptance).text,
    /^accepted: .* drops them within a few seconds: web-1 \(150 routes\)\n$/,
  );
  await acceptRoutes(store, nowMs);
  assert.equal(new Set(written).size, 2);
});

test('it says that nothing is held only if it can know', async () => {
  const none = await acceptRoutes(storeOf([]).store, nowMs);
  assert.match(acceptanceReport(none).text, /no instance has reported/);
  const unknown = await acceptRoutes(storeOf(null).store, nowMs);
  assert.equal(unknown.holding, null);
  assert.match(acceptanceReport(unknown).text, /^accepted: an instance that serves routes/);
});
