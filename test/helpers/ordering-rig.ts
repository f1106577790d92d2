import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Accounts, type CertificateAuthority } from '../../src/acme/accounts.ts';
import { AuthorityLimits } from '../../src/acme/authority-limits.ts';
import { NameOrders } from '../../src/acme/name-orders.ts';
import type { OrderCounters, OrderMeansOfFleet, OrderOutcome } from '../../src/acme/order-means.ts';
import { type OrderState, orderNoteName, readOrderState } from '../../src/acme/order-state.ts';
import { httpProof } from '../../src/acme/proof-notes.ts';
import { FleetProver } from '../../src/acme/proving.ts';
import type { Store, StoredCertificate } from '../../src/stores/contract.ts';
import { openSqlite } from '../../src/stores/sqlite/sqlite-store.ts';
import { StrictAuthority } from './strict-authority.ts';

const day = 24 * 3600_000;

/** Instances that order at a strict authority. Their clocks and that of the authority are the test's. */
export class OrderingRig {
  readonly authority: StrictAuthority;
  readonly store: Store;
  readonly counters: OrderCounters = { begun: 0, issued: 0, failed: 0, checkFailed: 0 };
  readonly lines: string[] = [];
  /** How long instances wanted to wait within orders, in ms. They do not wait. */
  readonly pauses: number[] = [];
  nowMs = Date.now();
  private readonly web: Server;
  private readonly folder: string;

  private constructor(authority: StrictAuthority, store: Store, web: Server, folder: string) {
    this.authority = authority;
    this.store = store;
    this.web = web;
    this.folder = folder;
    authority.settings.nowMs = () => this.nowMs;
    authority.settings.places = { httpPort: (web.address() as AddressInfo).port };
  }

  static async start(): Promise<OrderingRig> {
    const folder = mkdtempSync(join(tmpdir(), 'hipache-ordering-'));
    const store = await openSqlite(join(folder, 'routes.db'));
    const web = createServer((request, response) => {
      const token = request.url?.slice('/.well-known/acme-challenge/'.length) ?? '';
      void httpProof(store.notes, token).then((proof) => response.end(proof ?? ''));
    });
    await new Promise<void>((resolve) => void web.listen(0, '127.0.0.1', resolve));
    return new OrderingRig(await StrictAuthority.start(), store, web, folder);
  }

  /** As it is configured. */
  configured(more: Partial<CertificateAuthority> = {}): CertificateAuthority {
    return {
      ...{ directory: this.authority.directoryUrl, transport: this.authority.transport() },
      ...{ contact: ['mailto:admin@hipache.example'], externalAccount: null, profile: null, preferredChain: null },
      ...more,
    };
  }

  /** A new instance. */
  instance(more: Partial<OrderMeansOfFleet> = {}): NameOrders {
    const { counters, lines, pauses, store } = this;
    const write = (what: string): void => void lines.push(what);
    return new NameOrders({
      ...{ store, instance: 'one', authorities: [this.configured()], passphrase: null },
      accounts: new Accounts({ notes: store.notes, instance: 'one', passphrase: null }),
      limits: new AuthorityLimits(store.notes, () => this.nowMs),
      prover: new FleetProver(['http-01'], store.notes, null),
      check: null,
      wishOf: async () => 'own',
      whyNot: async () => null,
      ...{ graceMs: 10 * day, counters, log: { info: write, warn: write } },
      clock: { epochMs: () => this.nowMs },
      random: () => 0.5,
      pause: async (ms) => void pauses.push(ms),
      ...more,
    });
  }

  /** Looks at the time of the outcome before, if that was a failure. */
  async lookAgain(orders: NameOrders, pattern: string, before: OrderOutcome): Promise<OrderOutcome> {
    assert.ok(before.kind === 'failed' || before.kind === 'waits', JSON.stringify(before));
    this.nowMs = before.untilMs;
    return await orders.look(pattern);
  }

  async state(pattern: string): Promise<OrderState> {
    return readOrderState(await this.store.notes.read(orderNoteName(pattern)));
  }

  /** In the store. */
  async certificate(pattern: string): Promise<StoredCertificate | null> {
    return (await this.store.certificates.read([pattern]))[0] ?? null;
  }

  async remove(): Promise<void> {
    await this.authority.remove();
    this.web.close();
    this.web.closeAllConnections();
    await this.store.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
