import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  type ParsedNode,
  parseAllDocuments,
  type YAMLMap,
  type YAMLSeq,
  type Document as YamlDocument,
} from 'yaml';
import { HipacheError } from '../../base/errors.ts';
import { nearestWord } from '../../base/nearest.ts';
import { readJson } from '../../config/json.ts';
import { quote, readBackendUrl } from '../../routing/backend-url.ts';
import { parsePattern } from '../../routing/host.ts';
import { parseRoutePattern } from '../../routing/patterns.ts';
import type { StoredOptions } from '../contract.ts';
import { noOptions, optionForm, toStoredOptions } from '../option-record.ts';
import {
  type FileCertificate,
  type FileFormat,
  type FileProblem,
  type FileRoute,
  type ParsedFile,
  sectionNames,
} from './content.ts';
import { optionTextOf } from './option-nodes.ts';

const routeKeys = ['id', 'backends'];
const certificateKeys = ['certificate', 'key'];

/** Problems that are kept. */
const problemsMax = 1000;
/** `*.example.com:` as a key, without quotes. */
const bareWildcard = /^([ \t]*)(\*[\w.-]*)[ \t]*:(?=\s)/gm;

/**
 * Reads a routes file. Its form as a whole must be right: syntax, sections, no host and no key twice. Problems inside of
 * a route or certificate are its own.
 */
export function parseRoutesFile(text: string, format: FileFormat): ParsedFile {
  if (format === 'json') {
    const { problems } = readJson(text);
    if (problems.length > 0) return { content: null, problems };
  }
  return new RoutesFileReader(text).read();
}

/** The pattern that a key of a section means, in its stored form; a key that is no pattern means itself. */
export function patternOf(
  key: string,
  section = 'routes',
): { readonly pattern: string; readonly problem: string | null } {
  try {
    return { pattern: section === 'certificates' ? parsePattern(key) : parseRoutePattern(key), problem: null };
  } catch (error) {
    if (!(error instanceof HipacheError)) throw error;
    return { pattern: key, problem: error.message };
  }
}

type MapPair = Pair<ParsedNode, ParsedNode | null>;

class RoutesFileReader {
  private readonly problems: FileProblem[] = [];
  private isUsable = true;
  private readonly text: string;
  private readonly lines = new LineCounter();
  private document: YamlDocument | null = null;

  constructor(text: string) {
    this.text = text;
  }

  read(): ParsedFile {
    // Keys are compared here, as hosts and without reading all of them for each.
    const settings = { lineCounter: this.lines, prettyErrors: false, stringKeys: true, uniqueKeys: false };
    const [document, second] = [...parseAllDocuments(this.text, settings)];
    if (document === undefined) this.fail(0, 'the file is empty; without routes, write "routes: {}"');
    else if (document.errors.length > 0) this.failWith(document.errors);
    else if (second !== undefined) this.fail(second.range[0], 'a second document starts here; one is allowed');
    const routes = new Map<string, FileRoute>();
    const options = new Map<string, StoredOptions>();
    const certificates = new Map<string, FileCertificate>();
    if (document !== undefined && this.isUsable) {
      this.document = document as YamlDocument;
      for (const [name, section] of this.sections(document.contents)) {
        for (const { pattern, key, value } of this.records(name, section)) {
          if (name === 'routes') routes.set(pattern, this.route(pattern, key, value));
          else if (name === 'options') this.readOptions(options, pattern, key, value);
          else certificates.set(pattern, this.certificate(key, value));
        }
      }
    }
    const problems = this.problems.sort((a, b) => a.line - b.line || a.column - b.column);
    return { content: this.isUsable ? { routes, options, certificates } : null, problems };
  }

  /** The sections of the file that can be read. */
  private *sections(top: ParsedNode | null): Generator<[string, YAMLMap]> {
    if (!isMap(top)) {
      this.fail(startOf(top), 'the file must have the key "routes", with a route for each host below it');
      return;
    }
    for (const { name, key, value } of this.members(top as YAMLMap, sectionNames, (at, message) =>
      this.fail(at, message),
    )) {
      const section = this.resolved(value);
      if (isMap(section)) yield [name, section as YAMLMap];
      else this.fail(startOf(value ?? key), `"${name}" must have hosts as keys; without any, write "${name}: {}"`);
    }
    // An empty file and the begin of one must not pass for a file without routes.
    if (!top.items.some(({ key }) => isScalar(key) && key.value === 'routes')) {
      this.fail(startOf(top), 'the key "routes" is missing; without routes, write "routes: {}"');
    }
  }

  private *records(
    name: string,
    section: YAMLMap,
  ): Generator<{ pattern: string; key: ParsedNode; value: ParsedNode | null }> {
    const lines = new Map<string, number>();
    for (const { key, value } of section.items as MapPair[]) {
      const text = keyText(key);
      const { pattern, problem } = patternOf(text, name);
      const known = lines.get(pattern);
      if (known !== undefined) {
        const first = patternShown(pattern, text);
        this.fail(startOf(key), `${name}: the host ${first} is given twice, first in line ${known}`);
        continue;
      }
      lines.set(pattern, this.lines.linePos(startOf(key)).line);
      if (problem !== null) this.report(startOf(key), problem);
      yield { pattern, key, value };
    }
  }

  private route(pattern: string, key: ParsedNode, value: ParsedNode | null): FileRoute {
    const node = this.resolved(value);
    if (isSeq(node)) return { record: [pattern, ...this.backends(node as YAMLSeq)], problem: null, diagnostics: [] };
    if (!isMap(node)) return this.brokenRoute(value ?? key, 'a route is a list of backends, or has the key "backends"');
    const diagnostics: string[] = [];
    const add = (at: number, message: string) => diagnostics.push(this.report(at, message));
    let id: string = pattern;
    let backends: unknown[] | null = null;
    for (const member of this.members(node as YAMLMap, routeKeys, add)) {
      const found = this.resolved(member.value);
      if (member.name === 'id') {
        if (isScalar(found) && typeof found.value === 'string') id = found.value;
        else add(startOf(member.value ?? member.key), 'the id is not a text; write it in quotes');
      } else if (isSeq(found)) backends = this.backends(found as YAMLSeq);
      else return this.brokenRoute(member.value ?? member.key, '"backends" must be a list of URLs', diagnostics);
    }
    if (backends === null) return this.brokenRoute(value ?? key, 'the key "backends" is missing', diagnostics);
    return { record: [id, ...backends], problem: null, diagnostics };
  }

  /** All elements, whatever they are: the record is read like that of any other store. */
  private backends(list: YAMLSeq): unknown[] {
    return list.items.map((item) => {
      const node = this.resolved(item as ParsedNode);
      const value: unknown = isScalar(node) ? node.value : isSeq(node) ? [] : {};
      const { target, ...reading } = readBackendUrl(value);
      if (target === null && 'problem' in reading) {
        // A password may stand anywhere in something that is no URL.
        const isShown = typeof value === 'string' && !value.includes('@');
        const shown = isShown ? `backend ${quote(value)}: ` : typeof value === 'string' ? 'backend: ' : 'a backend is ';
        this.report(startOf(item as ParsedNode), `${shown}${reading.problem}`);
      }
      return value;
    });
  }

  /** A pattern without any options is left out. */
  private readOptions(
    to: Map<string, StoredOptions>,
    pattern: string,
    key: ParsedNode,
    value: ParsedNode | null,
  ): void {
    const node = this.resolved(value);
    if (!isMap(node)) {
      const problem = this.report(startOf(value ?? key), 'options are names with values, such as "requestsMax: 100"');
      to.set(pattern, { options: noOptions, problems: [problem] });
      return;
    }
    const texts: [string, string][] = [];
    const problems: string[] = [];
    for (const { name, key: option, value: given } of this.members(node as YAMLMap, null)) {
      const text = optionTextOf(this.document as YamlDocument, given);
      if (text !== null) texts.push([name, text]);
      else problems.push(this.report(startOf(given ?? option), `options: ${quote(name)} is not ${optionForm}`));
    }
    const { options, problems: more } = toStoredOptions(texts, quote(pattern));
    problems.push(...more.map((problem) => this.report(startOf(key), problem)));
    if (texts.length + problems.length > 0) to.set(pattern, { options, problems });
  }

  private certificate(key: ParsedNode, value: ParsedNode | null): FileCertificate {
    const node = this.resolved(value);
    const broken = (at: number, message: string): FileCertificate => ({
      certificate: '',
      key: '',
      problem: this.report(at, message),
    });
    if (!isMap(node)) return broken(startOf(value ?? key), 'a certificate has the keys "certificate" and "key"');
    const files = new Map<string, string>();
    for (const member of this.members(node as YAMLMap, certificateKeys, (at, message) => this.report(at, message))) {
      const found = this.resolved(member.value);
      const isName = isScalar(found) && typeof found.value === 'string' && /^[^\0]+$/.test(found.value);
      if (!isName) return broken(startOf(member.value ?? member.key), `"${member.name}" must be the path of a file`);
      files.set(member.name, found.value as string);
    }
    const missing = certificateKeys.find((name) => !files.has(name));
    if (missing !== undefined) return broken(startOf(value ?? key), `the key "${missing}" is missing`);
    return { certificate: files.get('certificate') ?? '', key: files.get('key') ?? '', problem: null };
  }

  /** The members of a map that are among `known`, or all for null; unknown ones are reported to `unknown`. */
  private *members(
    map: YAMLMap,
    known: readonly string[] | null,
    unknown: (at: number, message: string) => void = () => {},
  ): Generator<{ name: string; key: ParsedNode; value: ParsedNode | null }> {
    const seen = new Set<string>();
    for (const { key, value } of map.items as MapPair[]) {
      const name = keyText(key);
      if (seen.has(name)) {
        this.fail(startOf(key), `the key ${quote(name)} is given twice`);
      } else if (known === null || known.includes(name)) {
        yield { name, key, value };
      } else {
        const near = nearestWord(name, known);
        unknown(startOf(key), `unknown key ${quote(name)}${near === null ? '' : `; did you mean ${near}?`}`);
      }
      seen.add(name);
    }
  }

  private resolved(node: ParsedNode | null): Node | null {
    if (!isAlias(node)) return node;
    return node.resolve(this.document as YamlDocument) ?? null;
  }

  private brokenRoute(node: ParsedNode, message: string, diagnostics: readonly string[] = []): FileRoute {
    return { record: null, problem: this.report(startOf(node), message), diagnostics };
  }

  private failWith(errors: YamlDocument['errors']): void {
    // YAML takes such a key for an alias, and then stumbles over all that follows.
    const bare = [...this.text.matchAll(bareWildcard)];
    for (const { index, 1: blanks = '', 2: host = '' } of bare) {
      this.fail(index + blanks.length, `a host with "*" is written in quotes: "${host}"`);
    }
    if (bare.length > 0) return;
    // Some quote the text that they stumbled over, which may be a password.
    for (const { pos, message } of errors) this.fail(pos[0], message.replace(/: ".*"$/s, ''));
  }

  /** The file as a whole cannot be used. */
  private fail(at: number, message: string): void {
    this.isUsable = false;
    this.report(at, message);
  }

  /** @returns the message with its position. */
  private report(at: number, message: string): string {
    const { line, col: column } = this.lines.linePos(at);
    if (this.problems.length < problemsMax) this.problems.push({ line, column, message });
    return `line ${line}, column ${column}: ${message}`;
  }
}

function keyText(key: ParsedNode): string {
  return isScalar(key) ? String(key.value) : '';
}

function startOf(node: ParsedNode | null): number {
  return node?.range[0] ?? 0;
}

function patternShown(pattern: string, text: string): string {
  return pattern === text ? quote(pattern) : `${quote(pattern)} (written ${quote(text)})`;
}
