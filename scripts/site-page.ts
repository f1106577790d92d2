import type { RenderedMarkdown } from './markdown.ts';

/** A group of the navigation, and its pages. */
export interface NavigationGroup {
  readonly name: string;
  readonly entries: readonly NavigationEntry[];
}

interface NavigationEntry {
  readonly name: string;
  /** Of the page, from the start page. */
  readonly file: string;
}

/** A page has a table of contents from this number of sections on. */
const contentsMin = 4;

/** The whole HTML of a page, which is at `file`. Anchors of the text take precedence: those of the layout begin with "site-". */
export function pageHtml(file: string, page: RenderedMarkdown, groups: readonly NavigationGroup[]): string {
  const isStart = file === 'index.html';
  const title = isStart ? 'Hipache: documentation' : `${page.title} · Hipache`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="assets/help.css">
<script defer src="assets/help.js"></script>
</head>
<body>
<a class="skip" href="#site-content">Skip to the content</a>
<header>
<a class="brand" href="index.html"${isStart ? ' aria-current="page"' : ''}>Hipache</a>
<a class="all" href="#site-pages">All pages</a>
<div id="site-search" class="search" role="search" hidden>
<label for="site-query">Search the documentation</label>
<input id="site-query" type="search" autocomplete="off" spellcheck="false" placeholder="Search ( / )" aria-describedby="site-found">
<p id="site-found" role="status"></p>
<ol id="site-results"></ol>
</div>
</header>
<div class="columns">
<nav id="site-pages" class="pages" aria-label="Pages" tabindex="-1">
${groups.map((group) => groupHtml(group, file)).join('\n')}
</nav>
<main id="site-content" tabindex="-1">
<h1>${escapeHtml(page.title)}</h1>
${contentsHtml(page)}<article>
${page.html}</article>
</main>
</div>
</body>
</html>
`;
}

function groupHtml({ entries, name }: NavigationGroup, current: string): string {
  const items = entries.map((entry) => {
    const mark = entry.file === current ? ' aria-current="page"' : '';
    return `<li><a href="${escapeHtml(entry.file)}"${mark}>${escapeHtml(entry.name)}</a></li>`;
  });
  return `<h2>${escapeHtml(name)}</h2>\n<ul>\n${items.join('\n')}\n</ul>`;
}

function contentsHtml({ headings }: RenderedMarkdown): string {
  const sections = headings.filter(({ level }) => level === 2);
  if (sections.length < contentsMin) return '';
  const items = sections.map(({ anchor, text }) => `<li><a href="#${escapeHtml(anchor)}">${escapeHtml(text)}</a></li>`);
  return `<nav class="contents" aria-label="On this page">\n<h2>On this page</h2>\n<ul>\n${items.join('\n')}\n</ul>\n</nav>\n`;
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
