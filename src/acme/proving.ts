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
    else if (proof.kind === 'dns-01' && this.dns !== null) {
      await callDnsHook(this.dns.hook, 'cleanup', await recordOf(proof, this.dns)).catch(() => {});
    }
  }

  private async showRecord(proof: Proof, { dns, hook, waitMs }: DnsProofs): Promise<void> {
    const record = await recordOf(proof, { dns });
    await callDnsHook(hook, 'present', record);
    await dns.present(record, waitMs);
  }
}

async function recordOf({ keyAuthorization, name }: Proof, { dns }: Pick<DnsProofs, 'dns'>): Promise<TextRecord> {
  const record = challengeRecord(name, keyAuthorization);
  return { ...record, name: await dns.target(record.name) };
}

function noteOf({ kind, name, token }: Proof): string | null {
  if (kind === 'http-01') return httpProofNote(token);
  return kind === 'tls-alpn-01' ? tlsProofNote(name) : null;
}
