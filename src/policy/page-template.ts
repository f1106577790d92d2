/** The reply that a page is about. Texts are latin1. */
export interface PageSubject {
  readonly status: number;
  readonly code: string;
  /** Normalised; empty if the request has none. */
  readonly host: string;
  readonly requestId: string;
}

/** An HTML page with places for `{status}`, `{code}`, `{host}` and `{requestId}`. Other braces are text. */
export class PageTemplate {
  /** Texts and names of places in turn. */
  private readonly parts: readonly string[];

  /** @param html its bytes as latin1 text. */
  constructor(html: string) {
    this.parts = html.split(/\{(status|code|host|requestId)\}/);
  }

  /** The page about a reply, its bytes as latin1 text. */
  fill(subject: PageSubject): string {
    return this.parts
      .map((part, at) => (at % 2 === 0 ? part : escapeHtml(String(subject[part as keyof PageSubject]))))
      .join('');
  }
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
