/**
 * The sockets of an address that a worker accepts from. The sockets outlive workers and configurations, so that there
 * may be more or fewer of them than workers: each has at least one worker, and each worker at least one.
 * @param index of the worker, from 0.
 * @param workers how many there are.
 * @param sockets how many the address has.
 */
export function sharesOf(index: number, workers: number, sockets: number): readonly number[] {
  if (sockets <= workers) return [index % sockets];
  return Array.from({ length: sockets }, (_, share) => share).filter((share) => share % workers === index);
}
