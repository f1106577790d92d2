import { textHash } from '../routing/text-hash.ts';

/**
 * The one of several instances that is responsible for `key`: that with the highest hash of both (rendezvous hashing). All
 * instances that know of the same ones agree, and if one leaves, only its keys move.
 * @param instances at least one.
 */
export function responsibleFor(key: string, instances: readonly string[]): string {
  let chosen = '';
  let highest = -1;
  for (const instance of instances) {
    // The id follows the key: what differs last is what spreads least, but `textHash` mixes the result.
    const weight = textHash(`${key}\n${instance}`);
    if (weight > highest || (weight === highest && instance > chosen)) {
      chosen = instance;
      highest = weight;
    }
  }
  return chosen;
}

/** The key of a backend of a pattern. */
export function backendKey(pattern: string, url: string): string {
  return `${pattern}\n${url}`;
}
