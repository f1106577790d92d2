import type { FieldView } from './message.ts';

const none: readonly string[] = [];

/** The values of a cookie, in order: a client may have several of the same name, with other paths. */
export function cookieValues(view: FieldView, name: string): readonly string[] {
  let values: string[] | null = null;
  for (let field = 0; field < view.fieldCount; field++) {
    const fieldName = view.fieldName(field);
    if (fieldName.length !== 6 || fieldName.toLowerCase() !== 'cookie') continue;
    const text = view.fieldValue(field);
    if (!text.includes(name)) continue;
    for (const pair of text.split(';')) {
      const equals = pair.indexOf('=');
      if (equals === -1 || pair.slice(0, equals).trim() !== name) continue;
      values ??= [];
      values.push(pair.slice(equals + 1).trim());
    }
  }
  return values ?? none;
}
