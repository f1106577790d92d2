import type { NoteTexts } from '../stores/contract.ts';
import type { ChallengeKind, Proof, Prover } from './complete-order.ts';
import { callDnsHook, type DnsHookSettings } from './dns-hook.ts';
import { challengeRecord, type TextRecord } from './dns-records.ts';
import { httpProofNote, tlsProofNote } from './proof-notes.ts';
import type { PublicDns } from './public-dns.ts';

/** Records that are written by a hook. */
export interface DnsProofs {
  readonly hook: DnsHookSettings;
  readonly dns: Pick<PublicDns, 'present' | 'target'>;
  /** How long all name servers may take to have a record, in ms. */
  readonly waitMs: number;
  /** The zone in which targets of aliases may lie; null: they are not followed. */
  readonly aliasZone: string | null;
}

/** Longest time that a proof is shown, in ms: an authority may take that long to look at it. */
const shownMs = 3600_000;

/**
 * Shows proofs to authorities: in the store, where the workers of every instance find them, and by the DNS. A standing record
 * (DNS-PERSIST-01) needs nothing.
 */
export class FleetProver implements Prover {
  private readonly kinds: readonly ChallengeKind[];
  private readonly notes: NoteTexts;
  private readonly dns: DnsProofs | null;
  /** Records that are shown, by proof: an alias may change meanwhile. */
  private readonly records = new Map<string, TextRecord>();

  /** @param kinds that can be met, the preferred one first. @param dns null without `dns-01`. */
  constructor(kinds: readonly ChallengeKind[], notes: NoteTexts, dns: DnsProofs | null) {
    this.kinds = kinds;
    this.notes = notes;
    this.dns = dns;
  }

  /** A wildcard is proved by DNS only (RFC 8555 section 7.1.3). */
  kindsFor(_name: string, isWildcard: boolean): readonly ChallengeKind[] {
    return isWildcard ? this.kinds.filter((kind) => kind.startsWith('dns-')) : this.kinds;
  }

  async show(proof: Proof): Promise<void> {
    const note = noteOf(proof);
    if (note !== null) await this.notes.write(note, proof.keyAuthorization, { ttlMs: shownMs });
    else if (proof.kind === 'dns-01' && this.dns !== null) await this.showRecord(proof, this.dns);
  }

  /** A note ends by itself if the store is away; a record that a hook cannot remove does no harm. */
  async withdraw(proof: Proof): Promise<void> {
    const note = noteOf(proof);
    if (note !== null) await this.notes.write(note, null).catch(() => {});
    const record = this.records.get(proof.keyAuthorization);
    if (record === undefined || this.dns === null) return;
    this.records.delete(proof.keyAuthorization);
    await callDnsHook(this.dns.hook, 'cleanup', record).catch(() => {});
  }

  private async showRecord(proof: Proof, proofs: DnsProofs): Promise<void> {
    const record = await recordOf(proof, proofs);
    this.records.set(proof.keyAuthorization, record);
    await callDnsHook(proofs.hook, 'present', record);
    await proofs.dns.present(record, proofs.waitMs);
  }
}

/** Names that are given to a hook: it may be a program that takes options. */
const plainName = /^[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*$/;

async function recordOf({ keyAuthorization, name }: Proof, { aliasZone, dns }: DnsProofs): Promise<TextRecord> {
  const record = challengeRecord(name, keyAuthorization);
  if (aliasZone === null) return record;
  const target = await dns.target(record.name);
  return target.endsWith(`.${aliasZone}`) && plainName.test(target) ? { ...record, name: target } : record;
}

function noteOf({ kind, name, token }: Proof): string | null {
  if (kind === 'http-01') return httpProofNote(token);
  return kind === 'tls-alpn-01' ? tlsProofNote(name) : null;
}
