/** Attributes of an element; numbers are rounded to tenths. */
export type Attributes = Readonly<Record<string, string | number>>;

/** An element as text. `content` is elements, or text that was escaped. */
export function element(name: string, attributes: Attributes, content = ''): string {
  const text = Object.entries(attributes)
    .map(([key, value]) => ` ${key}="${typeof value === 'number' ? Math.round(value * 10) / 10 : escapeText(value)}"`)
    .join('');
  return content === '' ? `<${name}${text}/>\n` : `<${name}${text}>${content}</${name}>\n`;
}

/** A line of text. `kind` is its class, `anchor` the end that stands at `x`. */
export function label(x: number, y: number, text: string, kind = 'text', anchor = 'start'): string {
  return element('text', { x, y, class: kind, 'text-anchor': anchor }, escapeText(text));
}

export function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

/** A mark of about 10 by 10 around a point: its form tells what it is as well as its colour does. */
export function mark(
  form: 'disc' | 'square' | 'diamond' | 'triangle' | 'ring',
  x: number,
  y: number,
  kind: string,
): string {
  switch (form) {
    case 'disc':
      return element('circle', { cx: x, cy: y, r: 6, class: kind });
    case 'ring':
      return element('circle', { cx: x, cy: y, r: 4.5, class: `${kind} ring` });
    case 'square':
      return element('rect', { x: x - 4.5, y: y - 4.5, width: 9, height: 9, class: kind });
    case 'diamond':
      return element('path', { d: `M${x} ${y - 6}l6 6l-6 6l-6 -6z`, class: kind });
    case 'triangle':
      return element('path', { d: `M${x} ${y - 6}l6 10.5h-12z`, class: kind });
  }
}
