/** A kind of option values. */
export interface OptionType<Value> {
  /** The texts that are allowed, as it follows "allowed:" in a message: `a whole number from 1 to 100`. */
  readonly allowed: string;
  /**
   * The value of a text. Wrong parts of a list are left out, and named in `problems`; the rest holds.
   * @returns undefined if nothing of it can be used.
   */
  parse(text: string, problems: string[]): Value | undefined;
}

/** The value of a type. */
export type ValueOf<Type> = Type extends OptionType<infer Value> ? Value : never;

/** One of these words. */
export function word<const Words extends readonly string[]>(...words: Words): OptionType<Words[number]> {
  return {
    allowed: words.length === 1 ? (words[0] as string) : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`,
    parse: (text) => words.find((each) => each === text),
  };
}

export const onOrOff: OptionType<boolean> = {
  allowed: 'on or off',
  parse(text) {
    if (text === 'on' || text === 'true') return true;
    return text === 'off' || text === 'false' ? false : undefined;
  },
};

/** A whole number within bounds. */
export function whole(min: number, max: number): OptionType<number> {
  return {
    allowed: `a whole number from ${min} to ${max}`,
    parse(text) {
      const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
      return value >= min && value <= max ? value : undefined;
    },
  };
}

const msOf: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A time with its unit; its value is in ms. @param min such as `100ms`. */
export function duration(min: string, max: string): OptionType<number> {
  const [minMs, maxMs] = [durationMs(min), durationMs(max)];
  return {
    allowed: `a time from ${min} to ${max}, with its unit: ms, s, m, h or d`,
    parse(text) {
      const ms = durationMs(text);
      return ms >= minMs && ms <= maxMs ? ms : undefined;
    },
  };
}

/** A time with its unit in ms; NaN if the text is none. */
export function durationMs(text: string): number {
  const [, digits = '', unit = ''] = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)$/.exec(text) ?? [];
  return Number(digits || 'none') * (msOf[unit] ?? Number.NaN);
}

const bytesOf: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 };

/** A size in bytes, or with a unit of 1024: `64k`, `10m`, `2g`. */
export const size: OptionType<number> = {
  allowed: 'a size such as 64k, 10m or 2g (units of 1024), or a number of bytes',
  parse(text) {
    const [, digits = '', unit = ''] = /^(\d{1,12})([kmgt]?)$/.exec(text.toLowerCase()) ?? [];
    const bytes = Number(digits || 'none') * (bytesOf[unit] ?? Number.NaN);
    return Number.isSafeInteger(bytes) ? bytes : undefined;
  },
};

/** Either the word, whose value is null, or a value of another type. */
export function or<Value>(alternative: string, type: OptionType<Value>): OptionType<Value | null> {
  return {
    allowed: `${type.allowed}, or ${alternative}`,
    parse: (text, problems) => (text === alternative ? null : type.parse(text, problems)),
  };
}

/** Items with commas or blanks between them. Wrong ones are left out. */
export function listOf<Value>(item: OptionType<Value>, itemsMax: number): OptionType<readonly Value[]> {
  return {
    allowed: `up to ${itemsMax} with commas between them, each ${item.allowed}`,
    parse(text, problems) {
      const items = text.split(/[\s,]+/).filter((each) => each !== '');
      if (items.length > itemsMax)
        problems.push(`${items.length} items; those after the first ${itemsMax} are skipped`);
      return items.slice(0, itemsMax).flatMap((each) => {
        const value = item.parse(each, problems);
        if (value === undefined) problems.push(`${JSON.stringify(each)} is not ${item.allowed}, and is skipped`);
        return value === undefined ? [] : [value];
      });
    },
  };
}
