// npm run site: the documentation as static pages, with a search that needs no server:
//   npm run site
//   npm run site -- --out /tmp/help
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join, posix, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { indexOf, type SectionText } from '../dashboard/help/search-index.ts';
import { siteDirectory } from '../src/base/package-files.ts';
import { bundle } from './bundle.ts';
import { type BuiltFile, readFiles, root, type SourceFile, writeFiles } from './files.ts';
import { type RenderedMarkdown, renderMarkdown } from './markdown.ts';
import { type NavigationGroup, pageHtml } from './site-page.ts';

/** Pages that are not in docs/, if they are there. The first is the start page. */
const topPages = ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md'];
/** Of a section, in the results of a search, in characters. */
const summaryCharsMax = 140;

interface SitePage {
  readonly file: string;
  readonly content: RenderedMarkdown;
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { out: { type: 'string', default: siteDirectory() } } });
  const out = resolve(values.out);
  try {
    checkDirectory(out);
    const files = await siteFiles();
    writeFiles(out, files);
    const pages = files.filter(({ path }) => path.endsWith('.html')).length;
    process.stdout.write(`${pages} pages in ${out}; open ${join(out, 'index.html')}\n`);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}

/**
 * The files of the documentation site, all in one folder but for `assets/`.
 * @throws Error if a page has a link to nothing, or is missing from the section "Documentation" of README.md.
 */
export async function siteFiles(): Promise<readonly BuiltFile[]> {
  const sources = [...topPages.filter((path) => existsSync(join(root, path))).map(read), ...readFiles(['docs'], '.md')];
  const data = readFiles(['docs'], '.json').map(({ path, text }) => ({ path: basename(path), text }));
  const files = new Map(sources.map(({ path }) => [path, fileOf(path)]));
  for (const { path } of data) files.set(`docs/${path}`, path);
  const pages = sources.map((source): SitePage => renderPage(source, files));
  const groups = navigationOf(read('README.md').text, files, pages);
  const index = JSON.stringify(indexOf(pages.flatMap(sectionTexts)));
  const styles = ['dashboard/base.css', 'dashboard/help/style.css'];
  return [
    ...pages.map(({ content, file }) => ({ path: file, text: pageHtml(file, content, groups) })),
    ...data,
    { path: 'assets/help.css', text: styles.map((path) => read(path).text).join('\n') },
    { path: 'assets/help.js', text: await searchScript() },
    { path: 'assets/search-index.js', text: `globalThis.hipacheSearchIndex = ${index};\n` },
  ];
}

function renderPage({ path, text }: SourceFile, files: ReadonlyMap<string, string>): SitePage {
  const pathOf = (link: string): string => posix.join(posix.dirname(path), link);
  try {
    const content = renderMarkdown(text, {
      link: (href) => {
        if (/^(#|[a-z][a-z\d+.-]*:)/i.test(href)) return href;
        const [link = '', anchor] = href.split('#');
        const file = files.get(pathOf(link));
        if (file === undefined && !existsSync(join(root, pathOf(link))))
          throw new Error(`the link ${href} leads nowhere`);
        // Other files of the repository are not on the site, and the text names them.
        if (file === undefined) return null;
        return anchor === undefined ? file : `${file}#${anchor}`;
      },
      image: (source) => {
        if (!source.endsWith('.svg')) throw new Error(`the image ${source} is not an SVG file`);
        return `data:image/svg+xml;base64,${Buffer.from(read(pathOf(source)).text).toString('base64')}`;
      },
    });
    return { file: fileOf(path), content };
  } catch (error) {
    throw new Error(`${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** The section "Documentation" of README.md: one item a group, with its name in bold, and the links to its pages. */
function navigationOf(
  readme: string,
  files: ReadonlyMap<string, string>,
  pages: readonly SitePage[],
): readonly NavigationGroup[] {
  const [, section = ''] = /^## Documentation\n([\s\S]*?)(?=^## |$(?![\s\S]))/m.exec(readme) ?? [];
  const groups = [...section.matchAll(/^- \*\*(.+?):?\*\*([\s\S]*?)(?=^- |\n\n|$(?![\s\S]))/gm)].map(
    ([, name = '', links = '']) => ({
      name,
      entries: [...links.matchAll(/\[([^\]]+)\]\(([^()\s]+)\)/g)].map(([, text = '', link = '']) => {
        const page = pages.find(({ file }) => file === files.get(link));
        if (page === undefined) throw new Error(`README.md: Documentation: ${link} is no page`);
        return { name: page.content.title.startsWith(text) ? text : capitalized(text), file: page.file };
      }),
    }),
  );
  const named = new Set(['index.html', ...groups.flatMap(({ entries }) => entries.map(({ file }) => file))]);
  const missing = pages.filter(({ file }) => !named.has(file)).map(({ file }) => file);
  if (missing.length > 0) throw new Error(`README.md: Documentation: no link to the page of ${missing.join(', ')}`);
  return [{ name: 'Hipache', entries: [{ name: 'Start', file: 'index.html' }] }, ...groups];
}

function sectionTexts({ content, file }: SitePage): readonly SectionText[] {
  return content.sections.map(({ anchor, heading, summary, text }) => ({
    url: anchor === '' ? file : `${file}#${anchor}`,
    page: content.title,
    heading,
    summary: shortened(summary),
    text,
  }));
}

/** A classic script: a page from a file system may not load modules. */
async function searchScript(): Promise<string> {
  const [script] = await bundle(
    {
      input: join(root, 'dashboard/help/main.ts'),
      platform: 'browser',
      tsconfig: join(root, 'dashboard/tsconfig.json'),
    },
    { format: 'iife', minify: true },
  );
  return script.code;
}

/** Whatever is there is replaced. @throws Error if it is not a site. */
function checkDirectory(path: string): void {
  if (!existsSync(path) || readdirSync(path).length === 0 || existsSync(join(path, 'assets', 'search-index.js')))
    return;
  throw new Error(`${path} has other files; name an empty directory, or one that this command has written`);
}

function fileOf(path: string): string {
  return path === topPages[0] ? 'index.html' : `${basename(path, '.md').toLowerCase()}.html`;
}

function read(path: string): SourceFile {
  return { path, text: readFileSync(join(root, path), 'utf8') };
}

function shortened(text: string): string {
  if (text.length <= summaryCharsMax) return text;
  return `${text.slice(0, text.lastIndexOf(' ', summaryCharsMax))} …`;
}

function capitalized(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
