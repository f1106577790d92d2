/** The middle one, or the mean of the two in the middle; NaN of none. */
export function median(values: readonly number[]): number {
  return percentile(values, 50, true);
}

/**
 * The value that `percent` of the values do not exceed.
 * @param between whether to interpolate between the two nearest. Default false.
 */
export function percentile(values: readonly number[], percent: number, between = false): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = ((sorted.length - 1) * percent) / 100;
  const low = sorted[Math.floor(at)] ?? Number.NaN;
  const high = sorted[Math.ceil(at)] ?? Number.NaN;
  return between ? low + (high - low) * (at - Math.floor(at)) : high;
}

/** Half the distance of the extremes, as a share of the median: how far a round may be off. 0 of less than two. */
export function spread(values: readonly number[]): number {
  const middle = median(values);
  if (values.length < 2 || middle === 0) return 0;
  return (Math.max(...values) - Math.min(...values)) / 2 / Math.abs(middle);
}
