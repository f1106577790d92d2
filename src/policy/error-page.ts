import type { OptionType } from './option-type.ts';
import { PageTemplate } from './page-template.ts';
import { webUrl } from './web-url.ts';

/** The page for the local error replies of a host: a text, or a URL in which `{status}` and `{code}` are replaced. */
export type ErrorPage = { readonly template: PageTemplate } | { readonly url: string };

export const errorPage: OptionType<ErrorPage> = {
  allowed:
    'a text that begins with "<", or an http or https URL of up to 2048 characters, whose path may have {status} and {code}',
  parse(text) {
    const html = text.trim();
    if (html.startsWith('<')) return { template: new PageTemplate(Buffer.from(html, 'utf8').latin1Slice()) };
    // A placeholder in the name of the server would ask for any name.
    if (/^[^/]*\/\/[^/?]*[{}]/.test(html)) return undefined;
    return webUrl(urlOf(html, 503, 'OVERLOADED')) === undefined ? undefined : { url: html };
  },
};

/** The URL of the page for one status and code. */
export function urlOf(url: string, status: number, code: string): string {
  return url.replaceAll('{status}', String(status)).replaceAll('{code}', code);
}
