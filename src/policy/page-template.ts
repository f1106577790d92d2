/** The reply that a page is about. Texts are latin1. */
export interface PageSubject {
  readonly status: number;
  readonly code: string;
  /** Normalised; empty if the request has none. */
  readonly host: string;
  readonly requestId: string;
}

/** Places that are filled; further ones are text. Characters of each. So a page cannot become much larger than it is. */
const placesMax = 100;
const filledCharsMax = 256;

/** An HTML page with places for `{status}`, `{code}`, `{host}` and `{requestId}`. Other braces are text. */
export class PageTemplate {
  /** Texts and names of places in turn. */
  private readonly parts: readonly string[];

  /** @param html its bytes as latin1 text. */
  constructor(html: string) {
    const parts = html.split(/\{(status|code|host|requestId)\}/);
    const rest = parts.slice(2 * placesMax).map((part, at) => (at % 2 === 0 ? part : `{${part}}`));
    this.parts = rest.length === 0 ? parts : [...parts.slice(0, 2 * placesMax), rest.join('')];
  }

  /** The page about a reply, its bytes as latin1 text. */
  fill(subject: PageSubject): string {
    return this.parts
      .map((part, at) =>
        at % 2 === 0 ? part : escapeHtml(String(subject[part as keyof PageSubject]).slice(0, filledCharsMax)),
      )
      .join('');
  }
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
