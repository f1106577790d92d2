import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { MemoryNotes } from '../../test/helpers/memory-notes.ts';
import type { Proof } from './complete-order.ts';
import { FleetProver } from './proving.ts';

describe('a proof by DNS', () => {
  let folder: string;
  let target: string;
  let presented: string[];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hipache-proving-'));
    writeFileSync(join(folder, 'hook'), `#!/bin/sh\necho "$1 $2" >> '${folder}/calls'\n`, { mode: 0o755 });
    [target, presented] = ['_acme-challenge.shop.example', []];
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const proof: Proof = { kind: 'dns-01', name: 'shop.example', token: 't', keyAuthorization: 't.k' };
  const calls = (): string[] => readFileSync(join(folder, 'calls'), 'utf8').trimEnd().split('\n');

  function prover(aliasZone: string | null): FleetProver {
    const dns = {
      target: async () => target,
      present: async ({ name }: { name: string }) => void presented.push(name),
    };
    const hook = { kind: 'command', path: join(folder, 'hook') } as const;
    return new FleetProver(['dns-01'], new MemoryNotes(), { hook, dns, waitMs: 1000, aliasZone });
  }

  test('is written for the name itself, wherever its owner lets it point to', async () => {
    target = 'platform.example';
    await prover(null).show(proof);
    await prover('proofs.example').show(proof);
    target = 'notproofs.example';
    await prover('proofs.example').show(proof);
    target = '-x.proofs.example';
    await prover('proofs.example').show(proof);
    assert.deepEqual([...new Set(calls())], ['present _acme-challenge.shop.example.']);
    assert.deepEqual([...new Set(presented)], ['_acme-challenge.shop.example']);
  });

  test('is written for an alias in the zone for proofs, and removed from where it was written', async () => {
    target = 'shop.proofs.example';
    const fleet = prover('proofs.example');
    await fleet.show(proof);
    target = 'other.proofs.example';
    await fleet.withdraw(proof);
    await fleet.withdraw(proof);
    assert.deepEqual(calls(), ['present shop.proofs.example.', 'cleanup shop.proofs.example.']);
  });
});
