// The search of the documentation. Without it, the pages are complete but for the search.
import { type IndexedSection, type SearchIndex, SectionSearch } from './search-index.ts';

declare global {
  /** Set by search-index.js: a script may be loaded from a file system as well, other than data. */
  var hipacheSearchIndex: SearchIndex | undefined;
}

const resultsMax = 20;

const box = byId('site-search');
const field = byId('site-query') as HTMLInputElement;
const found = byId('site-found');
const list = byId('site-results');
let search: SectionSearch | null = null;
let isAsked = false;

box.hidden = false;
field.addEventListener('focus', loadIndex);
field.addEventListener('input', show);
field.addEventListener('keydown', (event) => {
  const [first] = links();
  if (event.key === 'Enter') first?.click();
  if (event.key === 'ArrowDown') move(event, first);
});
list.addEventListener('keydown', (event) => {
  const all = links();
  const at = all.indexOf(document.activeElement as HTMLAnchorElement);
  if (event.key === 'ArrowDown') move(event, all[at + 1]);
  if (event.key === 'ArrowUp') move(event, all[at - 1] ?? field);
});
// A result on the page that is open changes nothing else.
list.addEventListener('click', (event) => {
  if (event.target instanceof Element && event.target.closest('a') !== null) clear();
});
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && field.value !== '') {
    clear();
    field.focus();
  }
  if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey || document.activeElement === field) return;
  event.preventDefault();
  field.focus();
});

/** The index is loaded once somebody is about to search. */
function loadIndex(): void {
  if (isAsked) return;
  isAsked = true;
  const script = document.createElement('script');
  script.src = 'assets/search-index.js';
  script.addEventListener('load', () => {
    if (globalThis.hipacheSearchIndex !== undefined) search = new SectionSearch(globalThis.hipacheSearchIndex);
    show();
  });
  script.addEventListener('error', () => {
    isAsked = false;
    script.remove();
    found.textContent = 'The index of the search could not be loaded. Go to the field again to retry.';
  });
  document.head.append(script);
}

function show(): void {
  const query = field.value.trim();
  if (search === null || query === '') {
    list.replaceChildren();
    found.textContent = query === '' ? '' : 'Loading the index …';
    return;
  }
  const sections = search.find(query, resultsMax);
  list.replaceChildren(...sections.map(entryOf));
  if (sections.length === 0) found.textContent = `Nothing found for “${query}”.`;
  else if (sections.length === resultsMax) found.textContent = `The best ${resultsMax} sections:`;
  else found.textContent = sections.length === 1 ? '1 section:' : `${sections.length} sections:`;
}

function entryOf({ heading, page, summary, url }: IndexedSection): HTMLElement {
  const link = document.createElement('a');
  link.href = url;
  link.textContent = heading;
  const place = document.createElement('span');
  place.className = 'place';
  place.textContent = heading === page ? '' : page;
  const text = document.createElement('p');
  text.className = 'summary';
  text.textContent = summary;
  const entry = document.createElement('li');
  entry.append(link, ' ', place, text);
  return entry;
}

function clear(): void {
  field.value = '';
  show();
}

function move(event: Event, to: HTMLElement | undefined): void {
  if (to === undefined) return;
  event.preventDefault();
  to.focus();
}

function links(): readonly HTMLAnchorElement[] {
  return [...list.querySelectorAll('a')];
}

function byId(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`the page has no #${id}`);
  return element;
}
