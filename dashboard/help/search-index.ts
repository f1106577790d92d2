/* The index of the search in the documentation: scripts/site.ts makes it, and the pages search in it. */

/** A section of a page, as the index keeps it. */
export interface IndexedSection {
  /** From the start page. */
  readonly url: string;
  readonly page: string;
  readonly heading: string;
  readonly summary: string;
}

/** A section whose text is to be found. */
export interface SectionText extends IndexedSection {
  readonly text: string;
}

export interface SearchIndex {
  /** In the order of the pages. */
  readonly sections: readonly IndexedSection[];
  /** How many words each section has. */
  readonly lengths: readonly number[];
  /** In alphabetical order, with blanks between them. */
  readonly words: string;
  /**
   * The sections of each word: the distance from the section before, times `timesMax`, plus how often the section has the
   * word, less 1.
   */
  readonly postings: readonly (readonly number[])[];
}

/** How often a word is counted in a section. */
const timesMax = 8;
/** Words that are nearly everywhere, and in questions. */
const common = new Set(
  'a an and are as at be by can do does for from has have how i if in is it its my not of on or that the this to was what when which with'.split(
    ' ',
  ),
);

/** How much more a word counts in a heading, and in the title of a page, than in a text. */
const headingFactor = 3;
const titleFactor = 1.5;
/** How much more a section counts whose heading is what was typed. */
const wholeHeadingFactor = 2;
/** How much less a longer word counts of which only the beginning was typed. */
const beginningFactor = 0.5;
/** Of BM25: how soon a word that comes again counts less, and how much the length of a section matters. */
const saturation = 1.2;
const lengthWeight = 0.5;

export function indexOf(sections: readonly SectionText[]): SearchIndex {
  const postings = new Map<string, number[]>();
  const ends = new Map<string, number>();
  const lengths = sections.map(({ heading, page, text }, section) => {
    const words = wordsOf(`${page}\n${heading}\n${text}`);
    const times = new Map<string, number>();
    for (const word of words) times.set(word, (times.get(word) ?? 0) + 1);
    for (const [word, count] of times) {
      const list = postings.get(word) ?? [];
      list.push((section - (ends.get(word) ?? 0)) * timesMax + Math.min(count, timesMax) - 1);
      postings.set(word, list);
      ends.set(word, section);
    }
    return words.length;
  });
  const words = [...postings.keys()].sort();
  return {
    sections: sections.map(({ heading, page, summary, url }) => ({ url, page, heading, summary })),
    lengths,
    words: words.join(' '),
    postings: words.map((word) => postings.get(word) ?? []),
  };
}

/** Searches in one index. */
export class SectionSearch {
  private readonly index: SearchIndex;
  private readonly words: readonly string[];
  private readonly averageLength: number;
  /** Of each section: the words of its heading, and of the title of its page. */
  private readonly headings: readonly (readonly [heading: readonly string[], title: readonly string[]])[];

  constructor(index: SearchIndex) {
    this.index = index;
    this.words = index.words.split(' ');
    this.headings = index.sections.map(({ heading, page }) => [wordsOf(heading), wordsOf(page)]);
    this.averageLength = index.lengths.reduce((sum, length) => sum + length, 0) / Math.max(1, index.lengths.length);
  }

  /** The sections that have most of the words that were typed, the best first. */
  find(query: string, max: number): readonly IndexedSection[] {
    const typed = plainWords(query);
    const terms = [...new Set(typed)].filter((term) => !common.has(term));
    const scores = new Map<number, { terms: number; score: number }>();
    for (const term of terms) {
      for (const [section, score] of this.scoresOf(term)) {
        const sum = scores.get(section) ?? { terms: 0, score: 0 };
        scores.set(section, { terms: sum.terms + 1, score: sum.score + score });
      }
    }
    const whole = typed.join(' ');
    for (const [section, sum] of scores) {
      const { heading = '' } = this.index.sections[section] ?? {};
      if (plainWords(heading).join(' ') === whole) sum.score *= wholeHeadingFactor;
    }
    const most = Math.max(0, ...[...scores.values()].map((sum) => sum.terms));
    return [...scores]
      .filter(([, sum]) => sum.terms === most)
      .sort(([one, { score: a }], [other, { score: b }]) => b - a || one - other)
      .slice(0, max)
      .map(([section]) => this.index.sections[section] as IndexedSection);
  }

  /** Of the sections that have a word which is, or begins with, `term`, or its singular. */
  private scoresOf(term: string): ReadonlyMap<number, number> {
    const best = new Map<number, number>();
    const stem = singularOf(term);
    for (let at = this.firstFrom(stem); this.words[at]?.startsWith(stem) === true; at++) {
      const word = this.words[at] as string;
      const isWhole = singularOf(word) === stem;
      if (!isWhole && !word.startsWith(term)) continue;
      for (const [section, score] of this.scoresOfWord(at)) {
        const weighed = isWhole ? score : score * beginningFactor;
        if (weighed > (best.get(section) ?? 0)) best.set(section, weighed);
      }
    }
    return best;
  }

  private scoresOfWord(at: number): readonly (readonly [section: number, score: number])[] {
    const { lengths, postings, sections } = this.index;
    const list = postings[at] ?? [];
    const word = this.words[at] as string;
    const rarity = Math.log(1 + sections.length / list.length);
    let section = 0;
    return list.map((posting) => {
      section += Math.floor(posting / timesMax);
      const times = (posting % timesMax) + 1;
      const length = 1 - lengthWeight + (lengthWeight * (lengths[section] ?? 0)) / this.averageLength;
      const [heading = [], title = []] = this.headings[section] ?? [];
      const place = heading.includes(word) ? headingFactor : title.includes(word) ? titleFactor : 1;
      return [section, (rarity * place * times * (saturation + 1)) / (times + saturation * length)];
    });
  }

  /** Where the words begin that are not before `word`. */
  private firstFrom(word: string): number {
    let low = 0;
    let high = this.words.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.words[middle] as string) < word) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function plainWords(text: string): readonly string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}

/** The words of a text in lower case; of a name such as `accessLog`, the whole and its parts. */
function wordsOf(text: string): readonly string[] {
  return (text.match(/[\p{L}\p{N}]+/gu) ?? [])
    .flatMap((word) => {
      const parts = word.match(/\p{Lu}?[\p{Ll}\p{N}]+|\p{Lu}+(?!\p{Ll})/gu) ?? [];
      return parts.length > 1 ? [word, ...parts] : [word];
    })
    .map((word) => word.toLowerCase())
    .filter((word) => !common.has(word));
}

function singularOf(word: string): string {
  return word.length > 3 && word.endsWith('s') && !word.endsWith('ss') ? word.slice(0, -1) : word;
}
