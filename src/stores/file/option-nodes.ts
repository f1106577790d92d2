import { Document, isAlias, isMap, isScalar, isSeq, type Node, Scalar, YAMLMap, type YAMLSeq } from 'yaml';
import type { OptionTexts } from '../contract.ts';
import { optionText } from '../option-record.ts';
import { changeList, type RecordPair } from './record-nodes.ts';

/** One that is read, or one that is edited. */
type OpenDocument = Document<Node, boolean>;

/** The text of an option, by the node of its value; null if that is no value of an option. */
export function optionTextOf(document: OpenDocument, node: Node | null): string | null {
  const value = resolved(document, node);
  const plain = isSeq(value) ? value.items.map((item) => plainOf(document, item as Node)) : plainOf(document, value);
  return optionText(plain);
}

/** Makes an entry hold these options. Nodes that stay keep their comments, and values that cannot be read stay. */
export function changeOptionEntry(document: OpenDocument, entry: RecordPair, options: OptionTexts): void {
  const { value } = entry;
  if (!isMap(value)) {
    entry.value = newOptions(options);
    return;
  }
  const added = new Map(options);
  const map = value as YAMLMap<Node, Node | null>;
  map.items = map.items.filter((pair) => {
    const name = String((pair.key as Scalar).value);
    const text = added.get(name);
    if (text === undefined) return optionTextOf(document, pair.value) === null;
    added.delete(name);
    changeOption(document, pair, text);
    return true;
  });
  map.items.push(...newOptions(added).items);
}

export function newOptionEntry(pattern: string, options: OptionTexts): RecordPair {
  return new Document().createPair(pattern, newOptions(options)) as unknown as RecordPair;
}

function changeOption(document: OpenDocument, pair: RecordPair, text: string): void {
  const { value } = pair;
  if (optionTextOf(document, value) === text) return;
  if (isSeq(value)) changeList(value as YAMLSeq, text.split('\n').map(scalarValue));
  else if (isScalar(value)) value.value = scalarValue(text);
  else pair.value = new Scalar(scalarValue(text));
}

function newOptions(options: OptionTexts): YAMLMap<Node, Node> {
  const document = new Document();
  const map = new YAMLMap<Node, Node>();
  for (const [name, text] of options) map.items.push(document.createPair(name, new Scalar(scalarValue(text))) as never);
  return map;
}

/** The value as people write it: a number, true or false, if it is read as the same text again. */
function scalarValue(text: string): string | number | boolean {
  if (text === 'true' || text === 'false') return text === 'true';
  const number = Number(text);
  return Number.isFinite(number) && String(number) === text ? number : text;
}

/** Null for a node that is no scalar. */
function plainOf(document: OpenDocument, node: Node | null): unknown {
  const value = resolved(document, node);
  return isScalar(value) ? value.value : null;
}

function resolved(document: OpenDocument, node: Node | null): Node | null {
  return isAlias(node) ? (node.resolve(document as Document<Node, true>) ?? null) : node;
}
