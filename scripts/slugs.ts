/** The anchor that GitHub makes of the text of a heading, without regard to other headings. */
export function slugOf(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(' ', '-');
}

/** The anchors of one page. */
export class Slugs {
  private readonly taken = new Set<string>();

  /** As GitHub does it: further headings of the same text get numbers. */
  ofHeading(title: string): string {
    const slug = slugOf(title);
    let free = slug;
    for (let number = 1; this.taken.has(free); number++) free = `${slug}-${number}`;
    this.taken.add(free);
    return free;
  }

  /** For what is no heading, once all headings have theirs. @returns null if the anchor is taken, or would be empty. */
  ofOther(text: string): string | null {
    const slug = slugOf(text);
    if (slug === '' || this.taken.has(slug)) return null;
    this.taken.add(slug);
    return slug;
  }
}
