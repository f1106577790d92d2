import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { indexOf, type SearchIndex, SectionSearch } from '../dashboard/help/search-index.ts';
import { type BuiltFile, root } from './files.ts';
import { renderMarkdown } from './markdown.ts';
import { siteFiles } from './site.ts';
import { Slugs } from './slugs.ts';

/** Of the index of the search, compressed. */
const indexBytesMax = 160_000;

const keep = { link: (href: string) => href, image: (source: string) => source };

describe('the site of the documentation', () => {
  let files: ReadonlyMap<string, string>;
  let pages: readonly BuiltFile[];
  let index: SearchIndex;

  before(async () => {
    const built = await siteFiles();
    files = new Map(built.map(({ path, text }) => [path, text]));
    pages = built.filter(({ path }) => path.endsWith('.html'));
    const [, json = ''] = /^globalThis\.hipacheSearchIndex = (.*);\n$/.exec(textOf('assets/search-index.js')) ?? [];
    index = JSON.parse(json) as SearchIndex;
  });

  const textOf = (path: string): string => {
    const text = files.get(path);
    assert.ok(text !== undefined, `there is no ${path}`);
    return text;
  };

  /** Whether a URL from the start page leads to something. */
  const leadsSomewhere = (url: string): boolean => {
    const [file = '', anchor] = url.split('#');
    const text = files.get(file);
    return text !== undefined && (anchor === undefined || idsOf(text).includes(anchor));
  };

  it('has a page for each document, and all pages in the navigation of each', () => {
    for (const name of ['index', 'changelog', 'security', 'contributing', 'store', 'options']) textOf(`${name}.html`);
    for (const { path, text } of pages) {
      const [navigation = ''] = /<nav id="site-pages"[\s\S]*?<\/nav>/.exec(text) ?? [];
      const missing = pages.filter((page) => !navigation.includes(`href="${page.path}"`)).map((page) => page.path);
      assert.deepEqual(missing, [], path);
      assert.equal(/aria-current="page">/.exec(navigation) !== null, true, path);
    }
  });

  it('has links only to what there is', () => {
    let count = 0;
    for (const { path, text } of pages) {
      for (const [, url = ''] of text.matchAll(/\s(?:href|src)="([^"]*)"/g)) {
        if (/^(?:https?:|data:)/.test(url)) continue;
        count++;
        const absolute = url.startsWith('#') ? path + url : url;
        assert.ok(leadsSomewhere(absolute), `${path}: ${url}`);
        assert.doesNotMatch(url, /\.md\b/);
      }
    }
    assert.ok(count > 3000, `${count} links were looked at`);
  });

  it('has each anchor of a page once, and nothing that the security policy of the API blocks', () => {
    for (const { path, text } of pages) {
      const ids = idsOf(text);
      assert.equal(new Set(ids).size, ids.length, path);
      assert.doesNotMatch(
        text,
        /<style|\sstyle="|\son[a-z]+="|<script(?! defer src="assets\/help\.js"><\/script>)/,
        path,
      );
      assert.doesNotMatch(text, /<(?:img|script|link)[^>]+(?:src|href)="(?!data:|assets\/)/, path);
    }
  });

  it('has a small index, each of whose sections exists', () => {
    assert.deepEqual(
      index.sections.map(({ url }) => url).filter((url) => !leadsSomewhere(url)),
      [],
    );
    assert.ok(gzipSync(textOf('assets/search-index.js'), { level: 9 }).length < indexBytesMax);
  });

  const searches: readonly (readonly [query: string, url: string])[] = [
    ['wipe guard', 'metrics.html#hipache_wipe_guard_raised'],
    ['wipe guard', 'outages.html#when-the-store-is-wiped'],
    ['sticky', 'balancing.html#sticky-clients'],
    ['requestsMax', 'options.html#requestsmax'],
    ['BACKEND_CONNECT_REFUSED', 'errors.html#backend_connect_refused'],
    ['server.accesslog', 'configuration.html#serveraccesslog'],
    ['how do I renew certificates?', 'certificates.html#renewal'],
    ['redis clu', 'redis.html#redis-cluster'],
  ];
  for (const [query, url] of searches) {
    it(`finds ${url} for "${query}"`, () => {
      const results = new SectionSearch(index).find(query, 5).map((section) => section.url);
      assert.ok(results.includes(url), results.join(', '));
    });
  }

  it('puts the section first whose heading was typed', () => {
    const [first] = new SectionSearch(index).find('When the store is wiped', 5);
    assert.equal(first?.url, 'outages.html#when-the-store-is-wiped');
  });

  it('finds nothing for words that no page has', () => {
    const search = new SectionSearch(index);
    for (const query of ['zzzz', '', ' . ', 'the']) assert.deepEqual(search.find(query, 5), []);
  });

  it('is written by one command, but not over other files', () => {
    const folder = mkdtempSync(join(tmpdir(), 'hipache-site-'));
    try {
      const write = (out: string): string =>
        execFileSync(process.execPath, [join(root, 'scripts/site.ts'), '--out', out], {
          encoding: 'utf8',
          stdio: 'pipe',
        });
      assert.match(write(join(folder, 'new')), /^\d+ pages in /);
      assert.match(write(join(folder, 'new')), /^\d+ pages in /);
      assert.equal(readFileSync(join(folder, 'new', 'store.html'), 'utf8'), textOf('store.html'));
      writeFileSync(join(folder, 'own.txt'), '');
      assert.throws(() => write(folder), /has other files; name an empty directory/);
      assert.ok(existsSync(join(folder, 'own.txt')));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe('Markdown', () => {
  it('has the anchors of GitHub', () => {
    const slugs = new Slugs();
    const headings = ['The `limits` of a host', 'HTTP/2, gRPC & more', 'Twice', 'Twice', 'a_b-c', 'Ü 1.5'];
    assert.deepEqual(
      headings.map((heading) => slugs.ofHeading(heading.replaceAll('`', ''))),
      ['the-limits-of-a-host', 'http2-grpc--more', 'twice', 'twice-1', 'a_b-c', 'ü-15'],
    );
    assert.equal(slugs.ofOther('Twice'), null);
    assert.equal(slugs.ofOther('`*`'), null);
    assert.equal(slugs.ofOther('server.port'), 'serverport');
  });

  it('becomes sections, a name that begins a row of a table being one', () => {
    const text =
      '# Title\n\nFirst `a`.\n\n## Keys\n\n| key | meaning |\n| --- | ---: |\n| `one` | The first key. |\n\n```\nrun <it>\n```\n';
    const { headings, html, sections, title } = renderMarkdown(text, keep);
    assert.equal(title, 'Title');
    assert.deepEqual(headings, [{ level: 2, anchor: 'keys', text: 'Keys' }]);
    assert.match(
      html,
      /<h2 id="keys">Keys<\/h2>[\s\S]*<tr id="one">\s*<td><code>one<\/code><\/td>\s*<td class="right">/,
    );
    assert.match(html, /<pre tabindex="0"><code>run &lt;it&gt;\n<\/code><\/pre>/);
    assert.deepEqual(sections, [
      { anchor: '', heading: 'Title', text: 'First a.', summary: 'First a.' },
      { anchor: 'keys', heading: 'Keys', text: 'key\nmeaning\nrun <it>\n', summary: 'key' },
      { anchor: 'one', heading: 'one', text: 'one\nThe first key.', summary: 'The first key.' },
    ]);
  });

  it('has links to other files, and the text alone of those to nowhere', () => {
    const targets = { link: (href: string) => (href === 'a.md' ? 'a.html' : null), image: () => 'data:,' };
    const { html } = renderMarkdown('# T\n\n[one](a.md) [two](../b) ![three](c.svg)\n', targets);
    assert.equal(html, '<p><a href="a.html">one</a> <a>two</a> <img src="data:," alt="three"></p>\n');
  });

  it('loses its comments, and may have no other HTML', () => {
    assert.equal(renderMarkdown('# T\n\n<!-- one -->\n\ntext <!-- two -->\n', keep).html, '<p>text </p>\n');
    assert.throws(() => renderMarkdown('# T\n\n<b>bold</b>\n', keep), /HTML in a page: <b>/);
    assert.throws(() => renderMarkdown('No title\n', keep), /begins with/);
  });
});

describe('the search', () => {
  const section = (heading: string, text: string) => ({ url: heading, page: 'Page', heading, summary: '', text });
  const search = new SectionSearch(
    indexOf([
      section('One', 'cats and a dog, and dogs'),
      section('Dogs', 'a word'),
      section('Three', 'the accessLog of an instance, dogma'),
    ]),
  );
  const find = (query: string): readonly string[] => search.find(query, 10).map(({ heading }) => heading);

  it('ranks headings first and beginnings of words last, and takes plurals as well', () => {
    assert.deepEqual(find('dog'), ['Dogs', 'One', 'Three']);
    assert.deepEqual(find('dogs'), ['Dogs', 'One']);
    assert.deepEqual(find('cat'), ['One']);
  });

  it('wants most of the words, whether names are typed whole or in parts', () => {
    assert.deepEqual(find('dog instance'), ['Three']);
    assert.deepEqual(find('access log'), ['Three']);
    assert.deepEqual(find('AccessLog'), ['Three']);
    assert.deepEqual(search.find('dog', 1).length, 1);
  });
});

function idsOf(html: string): readonly string[] {
  return [...html.matchAll(/\sid="([^"]*)"/g)].map(([, id = '']) => id);
}
