import {
  Document,
  isMap,
  isScalar,
  isSeq,
  type Node,
  parseDocument,
  type Scalar,
  type ToStringOptions,
  YAMLMap,
} from 'yaml';
import type { OptionTexts } from '../contract.ts';
import { type FileFormat, type SectionName, sectionNames } from './content.ts';
import { jsonText } from './json-text.ts';
import { changeOptionEntry, newOptionEntry } from './option-nodes.ts';
import { patternOf } from './parse.ts';
import { changeRouteEntry, newRouteEntry, type RecordPair } from './record-nodes.ts';

/** A record as an edit writes it: of a route, or of options. */
type FileRecord = readonly unknown[] | OptionTexts;

/** The new record of a pattern; null to remove it. Certificates can only be removed. */
export interface FileEdit {
  readonly section: SectionName;
  readonly pattern: string;
  readonly record: FileRecord | null;
}

/** A record in the text: from its key to the end of its last line, without the line break. */
interface Span {
  readonly start: number;
  readonly end: number;
  readonly column: number;
}

/**
 * The text of a routes file after an edit. In YAML, the lines of the record change and all others stay as they are; only
 * if its section is written with braces, and in JSON, the file is written anew, with its comments.
 * @param text a file that can be used, or an empty text.
 */
export function editRoutesFile(text: string, format: FileFormat, edit: FileEdit): string {
  const document = parsed(text);
  const section = sectionOf(document, edit.section);
  const entry =
    (section?.items as RecordPair[] | undefined)?.find(({ key }) => patternOfKey(key) === edit.pattern) ?? null;
  if (edit.record === null && entry === null) return text;
  const style = styleOf(text, document);
  if (format === 'yaml') {
    const edited =
      section === null
        ? addSection(text, edit, document, style)
        : editLines(text, edit, document, section, entry, style);
    if (edited !== null) return edited;
  }
  editDocument(document, edit, section, entry);
  return format === 'json' ? jsonText(document, text) : document.toString(style);
}

/**
 * The text after several edits. Many of them write the file anew, with its comments: each by itself would parse the whole
 * file again.
 */
export function editRoutesFileAtOnce(given: string, format: FileFormat, edits: readonly FileEdit[]): string {
  const text =
    given.trim() === '' && edits.every(({ section }) => section !== 'routes') ? withoutRoutes[format] : given;
  if (edits.length <= editsByLineMax) return edits.reduce((before, edit) => editRoutesFile(before, format, edit), text);
  const document = parsed(text);
  const entries = new Map<string, RecordPair>();
  for (const name of sectionNames) {
    const items = (sectionOf(document, name)?.items ?? []) as RecordPair[];
    for (const entry of items) entries.set(`${name} ${patternOfKey(entry.key)}`, entry);
  }
  for (const edit of edits) {
    const { section: name, pattern } = edit;
    const section = sectionOf(document, name);
    editDocument(document, edit, section, entries.get(`${name} ${pattern}`) ?? null);
  }
  return format === 'json' ? jsonText(document, text) : document.toString(styleOf(text, document));
}

/** A file without records: options alone make none that can be used. */
const withoutRoutes: Readonly<Record<FileFormat, string>> = { json: '{\n  "routes": {}\n}\n', yaml: 'routes: {}\n' };

/** Edits that are made line by line. */
const editsByLineMax = 8;

function parsed(text: string): Document<Node, false> {
  return parseDocument<Node, false>(text, { prettyErrors: false, stringKeys: true, uniqueKeys: false });
}

/** Changes the lines of one record; null if it has none of its own. */
function editLines(
  text: string,
  { section: name, pattern, record }: FileEdit,
  document: Document<Node, false>,
  section: YAMLMap,
  entry: RecordPair | null,
  style: ToStringOptions,
): string | null {
  const newline = newlineOf(text);
  const place = entry ?? (section.items.at(-1) as RecordPair | undefined);
  if (place === undefined) {
    const { key } = entryOf(document.contents, name) as RecordPair;
    const [start, end] = section.range ?? [0, 0];
    if (record === null || columnOf(text, key) !== 0 || text.slice(start, end) !== '{}') return null;
    const column = Number(style.indent);
    const lines = entryText(newEntry(pattern, record), column, style, newline);
    return `${text.slice(0, start).trimEnd()}${newline}${' '.repeat(column)}${lines}${text.slice(end) || newline}`;
  }
  const span = section.flow === true ? null : spanOf(text, place);
  if (span === null) return null;
  const [before, after] = [text.slice(0, span.start), text.slice(span.end)];
  if (record === null) {
    const rest = before.slice(0, before.length - span.column) + after.replace(/^\r?\n/, '');
    if (section.items.length > 1) return rest;
    const { key } = entryOf(document.contents, name) as RecordPair;
    const colon = text.indexOf(':', key.range?.[1]) + 1;
    return `${rest.slice(0, colon)} {}${rest.slice(colon)}`;
  }
  if (entry !== null) {
    changeEntry(document, entry, pattern, record);
    return before + entryText(entry, span.column, style, newline) + after;
  }
  const lines = entryText(newEntry(pattern, record), span.column, style, newline);
  return `${text.slice(0, span.end)}${newline}${' '.repeat(span.column)}${lines}${after === '' ? newline : after}`;
}

/** Adds a section with its first record at the end; null if that is not possible. */
function addSection(
  text: string,
  { section, pattern, record }: FileEdit,
  { contents }: Document<Node, false>,
  style: ToStringOptions,
): string | null {
  if (record === null || !isMap(contents) || contents.flow === true) return null;
  const [first] = contents.items as RecordPair[];
  if (first === undefined || columnOf(text, first.key) !== 0 || /^\.\.\./m.test(text)) return null;
  const newline = newlineOf(text);
  const column = Number(style.indent);
  const lines = entryText(newEntry(pattern, record), column, style, newline);
  const whole = text.endsWith('\n') ? text : text + newline;
  return `${whole}${section}:${newline}${' '.repeat(column)}${lines}${newline}`;
}

function editDocument(
  document: Document<Node, false>,
  { section: name, pattern, record }: FileEdit,
  section: YAMLMap | null,
  entry: RecordPair | null,
): void {
  if (record === null) {
    if (section !== null) section.items = section.items.filter((item) => item !== entry);
  } else if (entry !== null) {
    changeEntry(document, entry, pattern, record);
  } else {
    const target = section ?? newSection(document, name);
    if (target.items.length === 0) target.flow = false;
    target.items.push(newEntry(pattern, record));
  }
}

function changeEntry(document: Document<Node, false>, entry: RecordPair, pattern: string, record: FileRecord): void {
  if (isOptions(record)) changeOptionEntry(document, entry, record);
  else changeRouteEntry(document, entry, pattern, record);
}

function newEntry(pattern: string, record: FileRecord): RecordPair {
  return isOptions(record) ? newOptionEntry(pattern, record) : newRouteEntry(pattern, record);
}

function isOptions(record: FileRecord): record is OptionTexts {
  return !Array.isArray(record);
}

function newSection(document: Document<Node, false>, name: string): YAMLMap {
  const section = new YAMLMap();
  if (!isMap(document.contents)) document.contents = new YAMLMap() as never;
  document.set(name, section);
  return section;
}

function sectionOf(document: Document<Node, false>, name: string): YAMLMap | null {
  const section = entryOf(document.contents, name)?.value;
  return isMap(section) ? (section as YAMLMap) : null;
}

function entryOf(map: unknown, name: string): RecordPair | null {
  if (!isMap(map)) return null;
  return (
    ((map.items as RecordPair[]).find(({ key }) => isScalar(key) && key.value === name) as RecordPair | undefined) ??
    null
  );
}

function patternOfKey(key: Node): string {
  return patternOf(String((key as Scalar).value)).pattern;
}

/** Null if the entry does not begin its line. */
function spanOf(text: string, entry: RecordPair): Span | null {
  const start = entry.key.range?.[0] ?? 0;
  const column = columnOf(text, entry.key);
  if (!/^ *$/.test(text.slice(start - column, start))) return null;
  const at = contentEnd(entry.value ?? entry.key);
  // A text in lines (`|`) ends with its line break.
  const from = text[at - 1] === '\n' ? at - 1 : at;
  const end = text.slice(from).search(/\r?\n|$/) + from;
  return { start, end, column };
}

function columnOf(text: string, node: Node | undefined): number {
  const start = node?.range?.[0] ?? 0;
  return start === 0 ? 0 : start - (text.lastIndexOf('\n', start - 1) + 1);
}

/** Where the last item of a node ends. Comments may follow. */
function contentEnd(node: Node): number {
  const last = lastOf(node);
  return last === null ? (node.range?.[1] ?? 0) : contentEnd(last);
}

/** The last node of a collection in block form. */
function lastOf(node: Node): Node | null {
  if (isSeq(node) && node.flow !== true) return (node.items.at(-1) as Node | undefined) ?? null;
  if (!isMap(node) || node.flow === true) return null;
  const last = node.items.at(-1) as RecordPair | undefined;
  return last === undefined ? null : (last.value ?? last.key);
}

/** The lines of an entry; the first without its indentation, the last without a line break. */
function entryText(entry: RecordPair, column: number, style: ToStringOptions, newline: string): string {
  const document = new Document<Node, false>();
  const map = new YAMLMap();
  map.items.push(entry);
  document.contents = map as never;
  // The comments before the entry and after its last line stay where they are.
  delete entry.key.commentBefore;
  delete entry.key.spaceBefore;
  for (let node = entry.value; node !== null; node = lastOf(node)) if (lastOf(node) !== null) delete node.comment;
  const lines = document.toString(style).trimEnd().split('\n');
  return lines.map((line, i) => (i === 0 || line === '' ? line : ' '.repeat(column) + line)).join(newline);
}

/** The habits of a text, as far as the formatter can follow them. */
function styleOf(text: string, document: Document<Node, false>): ToStringOptions {
  const list = /^( *)[^\s#-][^\n]*:[ \t]*(?:#[^\n]*)?\r?\n(?: *(?:#[^\n]*)?\r?\n)*( *)- /m.exec(text);
  const [first] = (sectionOf(document, 'routes')?.items ?? []) as RecordPair[];
  const column = columnOf(text, first?.key);
  return {
    lineWidth: 0,
    blockQuote: false,
    indent: column >= 1 && column <= 8 ? column : 2,
    indentSeq: list === null || list[1] !== list[2],
    flowCollectionPadding: !/[[{][^\s\]}]/.test(text),
    verifyAliasOrder: false,
  };
}

function newlineOf(text: string): string {
  return text.includes('\r\n') ? '\r\n' : '\n';
}
