import { networkOf } from '../base/client-network.ts';
import type { MarkingRule } from './health.ts';

/** Length of one of the two buckets, in ms: the outcomes of the last 5 to 10 s count. */
const bucketMs = 5000;

/**
 * Requests to one backend and their failures over the last seconds, in this worker: shows whether the backend fails, or
 * only the requests of one client. Times can be of any clock that does not go back.
 */
export class RecentOutcomes {
  /** Negative before the first outcome. */
  private bucket = -1;
  private current = new Bucket();
  /** Null until the second bucket begins. */
  private previous: Bucket | null = null;

  /** Counts one response or failure. @param client the address of the client. */
  count(nowMs: number, client: string, failed: boolean): void {
    this.turn(nowMs);
    this.current.count(client, failed);
  }

  /**
   * Whether enough requests failed. Where several clients sent some, the failures must be of several too, so that none
   * of them can take the backend from the others.
   */
  isFailing({ failuresMin, share }: MarkingRule): boolean {
    const { current, previous } = this;
    const failures = current.failures + (previous?.failures ?? 0);
    const requests = current.requests + (previous?.requests ?? 0);
    if (failures < failuresMin || failures < share * requests) return false;
    const before = previous ?? noBucket;
    return areSeveral(current.failing, before.failing) || !areSeveral(current.clients, before.clients);
  }

  /** Whether a failure of the last 5 to 10 s counts. */
  hasFailed(nowMs: number): boolean {
    const age = Math.floor(nowMs / bucketMs) - this.bucket;
    return (age <= 1 && this.current.failures > 0) || (age === 0 && (this.previous?.failures ?? 0) > 0);
  }

  private turn(nowMs: number): void {
    const bucket = Math.floor(nowMs / bucketMs);
    if (bucket === this.bucket) return;
    if (this.bucket < 0) {
      this.bucket = bucket;
      return;
    }
    const { current, previous } = this;
    this.current = previous ?? new Bucket();
    this.previous = current;
    this.current.clear();
    if (bucket !== this.bucket + 1) this.previous.clear();
    this.bucket = bucket;
  }
}

class Bucket {
  requests = 0;
  failures = 0;
  readonly clients = new Clients();
  /** Null until a request fails: most backends have no failure, and most hosts few requests. */
  failing: Clients | null = null;

  count(client: string, failed: boolean): void {
    this.requests++;
    this.clients.add(client);
    if (!failed) return;
    this.failures++;
    this.failing ??= new Clients();
    this.failing.add(client);
  }

  clear(): void {
    this.requests = 0;
    this.failures = 0;
    this.clients.clear();
    this.failing?.clear();
  }
}

/** Distinguishes no client, one, and several. */
class Clients {
  /** Empty for none. */
  one = '';
  areSeveral = false;

  add(client: string): void {
    if (this.areSeveral || client === this.one) return;
    if (this.one === '') this.one = client;
    else this.areSeveral = !isSameClient(client, this.one);
  }

  clear(): void {
    this.one = '';
    this.areSeveral = false;
  }
}

const noBucket = new Bucket();

function areSeveral(some: Clients | null, others: Clients | null): boolean {
  if (some?.areSeveral || others?.areSeveral) return true;
  if (some === null || others === null) return false;
  return some.one !== '' && others.one !== '' && !isSameClient(some.one, others.one);
}

function isSameClient(a: string, b: string): boolean {
  return a === b || networkOf(a) === networkOf(b);
}
