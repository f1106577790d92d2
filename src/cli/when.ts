/** An instant in local time with its offset, to the second: `2026-11-22T10:00:00+01:00`. */
export function localTime(epochMs: number): string {
  const offsetMinutes = -new Date(epochMs).getTimezoneOffset();
  const local = new Date(epochMs + offsetMinutes * 60_000);
  if (Number.isNaN(local.getTime())) return 'an unknown time';
  const sign = offsetMinutes < 0 ? '-' : '+';
  const hours = twoDigits(Math.floor(Math.abs(offsetMinutes) / 60));
  const minutes = twoDigits(Math.abs(offsetMinutes) % 60);
  return `${local.toISOString().slice(0, 19)}${sign}${hours}:${minutes}`;
}

/** A time to come: `2026-11-22T10:00:00+01:00 (in 12 s)`. @param time ISO 8601. */
export function whenText(time: string, remainingMs: number): string {
  return `${localTime(Date.parse(time))} (in ${duration(remainingMs)})`;
}

/** A duration in its two largest units: `12 s`, `3 min 5 s`, `2 h 4 min`, `5 d`. Rounded up to seconds. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor((seconds % 86_400) / 3600), 'h'],
    [Math.floor((seconds % 3600) / 60), 'min'],
    [seconds % 60, 's'],
  ] as const;
  const first = parts.findIndex(([count]) => count > 0);
  if (first === -1) return '0 s';
  const shown = parts.slice(first, first + 2).filter(([count]) => count > 0);
  return shown.map(([count, unit]) => `${count} ${unit}`).join(' ');
}

function twoDigits(count: number): string {
  return String(count).padStart(2, '0');
}
