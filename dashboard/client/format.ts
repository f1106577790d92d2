/** `12.3`, `1.2 K`. */
export function number(value: number): string {
  if (value === 0) return '0';
  if (value < 10) return value.toFixed(1);
  if (value < 1000) return String(Math.round(value));
  const units = ['K', 'M', 'G', 'T'];
  let scaled = value / 1000;
  let unit = 0;
  for (; scaled >= 1000 && unit < units.length - 1; unit++) scaled /= 1000;
  return `${scaled < 10 ? scaled.toFixed(1) : Math.round(scaled)} ${units[unit]}`;
}

/** With units of 1024 bytes. */
export function bytes(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let scaled = value;
  let unit = 0;
  for (; scaled >= 1024 && unit < units.length - 1; unit++) scaled /= 1024;
  return `${scaled < 10 && unit > 0 ? scaled.toFixed(1) : Math.round(scaled)} ${units[unit]}`;
}

export function milliseconds(ms: number | null): string {
  if (ms === null) return '–';
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  return ms < 10_000 ? `${Math.round(ms)} ms` : `${Math.round(ms / 1000)} s`;
}

/** How long ago, or in how long. */
export function distance(at: string | null, nowMs = Date.now()): string {
  if (at === null) return '–';
  const seconds = Math.round((nowMs - Date.parse(at)) / 1000);
  const size = Math.abs(seconds);
  const [count, unit] =
    size < 60
      ? [size, 's']
      : size < 3600
        ? [Math.round(size / 60), 'min']
        : size < 86_400 * 2
          ? [Math.round(size / 3600), 'h']
          : [Math.round(size / 86_400), 'days'];
  return seconds < 0 ? `in ${count} ${unit}` : `${count} ${unit} ago`;
}

export function clockTime(at: string): string {
  return new Date(at).toLocaleTimeString([], { hour12: false });
}

/** `1 host`, `2 hosts`. */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
