import type { OptionType } from './option-type.ts';

/** A share of requests: 1 for `on`, -1 for `off`. */
export const logShare: OptionType<number> = {
  allowed: 'on, off, or a number from 0 to 1 such as 0.01',
  parse(text) {
    if (text === 'on' || text === 'true') return 1;
    if (text === 'off' || text === 'false') return -1;
    const share = /^(?:0|1|[01]?\.\d{1,9})$/.test(text) ? Number(text) : Number.NaN;
    return share <= 1 ? share : undefined;
  },
};
