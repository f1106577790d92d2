const firstMs = 500;
const longestMs = 30_000;

/**
 * How long to wait before a worker that has died early is started again: twice as long each time, up to 30 s, the
 * upper half of it by chance, so that workers which die of the same cause do not come back all at once.
 * @param deaths how many have died early one after the other, from 1.
 * @param random from 0 up to but not including 1.
 * @returns milliseconds.
 */
export function backOffMs(deaths: number, random: number): number {
  const whole = Math.min(longestMs, firstMs * 2 ** Math.min(deaths - 1, 16));
  return Math.round(whole / 2 + (whole / 2) * random);
}
