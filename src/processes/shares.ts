/**
 * The sockets of an address from which a worker accepts. Sockets outlive workers and configurations, so there may be
 * more or fewer of them than workers. Every socket gets at least one worker, and every worker at least one socket.
 * @param index of the worker, from 0.
 * @param workers number of workers.
 * @param sockets number of sockets of the address.
 */
export function sharesOf(index: number, workers: number, sockets: number): readonly number[] {
  if (sockets <= workers) return [index % sockets];
  return Array.from({ length: sockets }, (_, share) => share).filter((share) => share % workers === index);
}
