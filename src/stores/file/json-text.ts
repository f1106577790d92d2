import { type Document, isMap, isScalar, isSeq, type Node, type Pair } from 'yaml';

/** A document as JSON, with the indentation of `source`. Lists and objects that `source` has on one line stay on one. */
export function jsonText(document: Document<Node, false>, source: string): string {
  const indent = /^([ \t]+)"/m.exec(source)?.[1] ?? (source.trim().includes('\n') || source.trim() === '' ? '  ' : '');
  const newline = source.includes('\r\n') ? '\r\n' : '\n';
  const end = source === '' || /\n$/.test(source) ? newline : '';
  return new JsonWriter(source, indent, newline).text(document.contents, '') + end;
}

class JsonWriter {
  private readonly source: string;
  private readonly indent: string;
  private readonly newline: string;

  constructor(source: string, indent: string, newline: string) {
    this.source = source;
    this.indent = indent;
    this.newline = newline;
  }

  text(node: Node | null, before: string): string {
    if (isSeq(node)) {
      const items = (node.items as Node[]).map((item) => this.text(item, before + this.indent));
      return this.collection(node, '[', items, ']', before);
    }
    if (isMap(node)) {
      const members = (node.items as Pair<Node, Node | null>[]).map(
        ({ key, value }) => `${this.text(key, before)}: ${this.text(value, before + this.indent)}`,
      );
      return this.collection(node, '{', members, '}', before);
    }
    return JSON.stringify(isScalar(node) ? node.value : (node ?? null));
  }

  private collection(node: Node, open: string, items: readonly string[], close: string, before: string): string {
    if (items.length === 0) return open + close;
    const { range } = node;
    const isOnOneLine = range == null ? this.indent === '' : !this.source.slice(range[0], range[1]).includes('\n');
    if (isOnOneLine && !items.some((item) => item.includes('\n'))) return open + items.join(', ') + close;
    const inner = this.newline + before + this.indent;
    return `${open}${inner}${items.join(`,${inner}`)}${this.newline}${before}${close}`;
  }
}
