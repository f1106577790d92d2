import MarkdownIt, { type Token } from 'markdown-it';
import { Slugs } from './slugs.ts';

/** A part of a page that a search finds: what follows a heading, or a row of a table that explains a name. */
export interface PageSection {
  /** Of the heading or row; '' for the beginning of the page. */
  readonly anchor: string;
  readonly heading: string;
  /** All words of it. */
  readonly text: string;
  /** What tells best what it is about. */
  readonly summary: string;
}

/** A heading below the title. */
export interface PageHeading {
  readonly level: number;
  readonly anchor: string;
  readonly text: string;
}

export interface RenderedMarkdown {
  readonly title: string;
  /** Without the title. */
  readonly html: string;
  readonly headings: readonly PageHeading[];
  readonly sections: readonly PageSection[];
}

/** What becomes of the links and images of a page. */
export interface LinkTargets {
  /** @returns null if there is nothing to link to: the text stays. */
  readonly link: (href: string) => string | null;
  readonly image: (source: string) => string;
}

const markdown = new MarkdownIt({ html: true });
const { rules } = markdown.renderer;
// With tabindex, the keyboard alone can scroll them.
rules['table_open'] = () => '<div class="scrolls" tabindex="0" role="group" aria-label="Table"><table>\n';
rules['table_close'] = () => '</table></div>\n';
rules['fence'] = (tokens, index) =>
  `<pre tabindex="0"><code>${markdown.utils.escapeHtml((tokens[index] as Token).content)}</code></pre>\n`;
rules['html_block'] = (tokens, index) => withoutComments((tokens[index] as Token).content);
rules['html_inline'] = rules['html_block'];

/**
 * A page of Markdown as HTML that needs neither inline scripts nor inline styles.
 * @throws Error if it does not begin with a title, or has HTML other than comments.
 */
export function renderMarkdown(text: string, targets: LinkTargets): RenderedMarkdown {
  const tokens = markdown.parse(text, {});
  const [first, title] = tokens;
  if (first?.tag !== 'h1' || title === undefined) throw new Error('a page begins with "# " and its title');
  const slugs = new Slugs();
  slugs.ofHeading(textOf(title));
  const rest = tokens.slice(3);
  const headings = nameHeadings(rest, slugs);
  nameRows(rest, slugs);
  for (const token of rest) {
    for (const child of token.children ?? []) retarget(child, targets);
    alignByClass(token);
  }
  emptyHeads(rest);
  return {
    title: textOf(title),
    html: markdown.renderer.render(rest, markdown.options, {}),
    headings,
    sections: sectionsOf(textOf(title), rest),
  };
}

/** The text of a part of a page, as a reader sees it. */
function textOf({ children, content }: Token): string {
  if (children === null) return content;
  return children
    .map((child) => {
      if (child.type === 'text' || child.type === 'code_inline') return child.content;
      return child.type === 'softbreak' || child.type === 'hardbreak'
        ? ' '
        : child.type === 'image'
          ? child.content
          : '';
    })
    .join('');
}

function nameHeadings(tokens: readonly Token[], slugs: Slugs): readonly PageHeading[] {
  return tokens.flatMap((token, index) => {
    const inline = tokens[index + 1];
    if (token.type !== 'heading_open' || inline === undefined) return [];
    const text = textOf(inline);
    const anchor = slugs.ofHeading(text);
    token.attrSet('id', anchor);
    return [{ level: Number(token.tag.slice(1)), anchor, text }];
  });
}

/** Gives an anchor to each row that begins with a name: an option, a key, a metric, an error code. */
function nameRows(tokens: readonly Token[], slugs: Slugs): void {
  for (const [index, token] of tokens.entries()) {
    const inline = tokens[index + 2];
    if (token.type !== 'tr_open' || tokens[index + 1]?.type !== 'td_open' || inline === undefined) continue;
    const [name, ...others] = inline.children ?? [];
    if (name?.type !== 'code_inline' || others.length > 0) continue;
    const anchor = slugs.ofOther(name.content);
    if (anchor !== null) token.attrSet('id', anchor);
  }
}

function retarget(token: Token, { image, link }: LinkTargets): void {
  if (token.type === 'image') token.attrSet('src', image(String(token.attrGet('src'))));
  if (token.type !== 'link_open') return;
  const href = String(token.attrGet('href'));
  const target = link(href);
  if (target !== null) token.attrSet('href', target);
  else token.attrs = null;
}

/** The security policy of the pages allows no attribute `style`. */
function alignByClass(token: Token): void {
  const [, side] = /^text-align:(\w+)$/.exec(String(token.attrGet('style'))) ?? [];
  if (side !== undefined) token.attrs = [['class', side]];
}

/** A head without text heads nothing. */
function emptyHeads(tokens: readonly Token[]): void {
  for (const [index, token] of tokens.entries()) {
    if (token.type !== 'th_open' || tokens[index + 1]?.content !== '') continue;
    for (const cell of [token, tokens[index + 2]]) if (cell !== undefined) cell.tag = 'td';
  }
}

/** A section while it is read. */
interface OpenSection {
  readonly anchor: string;
  readonly heading: string;
  readonly texts: string[];
  readonly summaries: string[];
}

function sectionsOf(title: string, tokens: readonly Token[]): readonly PageSection[] {
  const sections: OpenSection[] = [];
  const begin = (anchor: string, heading: string): OpenSection => {
    const section = { anchor, heading, texts: [], summaries: [] };
    sections.push(section);
    return section;
  };
  let section = begin('', title);
  let row: OpenSection | null = null;
  for (const [index, token] of tokens.entries()) {
    if (token.type === 'heading_open') section = begin(String(token.attrGet('id')), textOf(tokens[index + 1] as Token));
    const anchor = token.type === 'tr_open' ? token.attrGet('id') : null;
    if (anchor !== null) row = begin(String(anchor), textOf(tokens[index + 2] as Token));
    if (token.type === 'tr_close') row = null;
    if (token.type === 'fence') section.texts.push(token.content);
    if (token.type !== 'inline' || tokens[index - 1]?.type === 'heading_open') continue;
    const text = textOf(token);
    const { summaries, texts } = row ?? section;
    texts.push(text);
    summaries.push(text);
  }
  return sections.map(({ anchor, heading, summaries, texts }) => {
    const isRow = anchor !== '' && summaries[0] === heading;
    // In a table, the longest cell explains.
    const summary = isRow
      ? summaries.slice(1).reduce((one, other) => (other.length > one.length ? other : one), '')
      : summaries[0];
    return { anchor, heading, text: texts.join('\n'), summary: summary ?? '' };
  });
}

/** @throws Error if more than comments is there. */
function withoutComments(html: string): string {
  const rest = html.replace(/<!--[\s\S]*?-->/g, '').trim();
  if (rest !== '') throw new Error(`HTML in a page: ${rest.slice(0, 100)}`);
  return '';
}
