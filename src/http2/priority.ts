import { urgencyMax } from './stream.ts';

/** The parameters of a priority (RFC 9218 section 4). */
interface Priority {
  urgency: number;
  isIncremental: boolean;
}

/** Reads the parameters that are known; what is not of their form is ignored, as RFC 9218 section 4 wants. */
export function readPriority(value: string, into: Priority): void {
  for (const item of value.split(',')) {
    const [key = '', setting = '?1'] = item.trim().split('=');
    if (key === 'u' && /^[0-7]$/.test(setting)) into.urgency = Math.min(Number(setting), urgencyMax);
    else if (key === 'i' && (setting === '?1' || setting === '?0')) into.isIncremental = setting === '?1';
  }
}
