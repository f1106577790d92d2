import type { Site } from '../site.ts';
import { type WrkLoad, wrk } from './wrk.ts';

/** Of one try, in seconds, and how often it is tried. */
const trySeconds = 2;
const triesMax = 20;
/** The same, of very many hosts. */
const shopsTrySeconds = 10;
const shopsTriesMax = 50;

/**
 * Requests every host of a load, in turn, until each has been requested at least once.
 * @returns how many requests there were, and how many of them failed.
 * @throws where that takes too long.
 */
export async function requestEachHost(
  site: Site,
  load: Omit<WrkLoad, 'seconds'>,
): Promise<{ requests: number; failed: number }> {
  let requests = 0;
  let failed = 0;
  for (let tries = 0; requests < load.hosts.length; tries++) {
    if (tries === triesMax) throw new Error(`only ${requests} of ${load.hosts.length} hosts were requested`);
    const result = await wrk(site, { ...load, hosts: load.hosts.slice(requests), seconds: trySeconds, inTurn: true });
    requests += result.requests;
    failed += result.failed;
  }
  return { requests, failed };
}

/** As `requestEachHost`, of the first `count` hosts of `routeSet`, which may be a million. */
export async function requestEachShop(
  site: Site,
  load: Omit<WrkLoad, 'seconds'>,
  count: number,
): Promise<{ requests: number; failed: number }> {
  let requests = 0;
  let failed = 0;
  for (let tries = 0; requests < count; tries++) {
    if (tries === shopsTriesMax) throw new Error(`only ${requests} of ${count} hosts were requested`);
    const result = await wrk(site, { ...load, shops: { count, order: { from: requests } }, seconds: shopsTrySeconds });
    requests += result.requests;
    failed += result.failed;
  }
  return { requests, failed };
}
