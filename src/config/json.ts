/** A syntax error and its position, counted from 1. */
export interface SyntaxProblem {
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

type JsonValue = null | boolean | number | string | JsonValue[] | { [name: string]: JsonValue };

const depthMax = 100;
const problemsMax = 20;
const blank = /[ \t\n\r]*/y;
const numberToken = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
// Control characters must be escaped (RFC 8259, section 7), except those above 0x7e.
const stringToken = /"(?:[^"\\\p{Cc}]|[\x7f-\x9f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/uy;
const words: Readonly<Record<string, null | boolean>> = { true: true, false: false, null: null };

/**
 * Parses JSON strictly (RFC 8259). Unlike JSON.parse, it reports the position of the first error and of every duplicate
 * key. Every key becomes an own property, even `__proto__`.
 */
export function readJson(source: string): { value: unknown; problems: readonly SyntaxProblem[] } {
  const reader = new JsonReader(source);
  try {
    const value = reader.document();
    return { value, problems: reader.problems };
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    return { value: null, problems: reader.problems };
  }
}

/** The first error ends the parsing. */
class Stop extends Error {}

class JsonReader {
  readonly problems: SyntaxProblem[] = [];
  private readonly source: string;
  private at = 0;

  constructor(source: string) {
    this.source = source;
  }

  document(): JsonValue {
    const value = this.value(0);
    if (this.at < this.source.length) this.stop('nothing more is expected here');
    return value;
  }

  /** A value and the blanks around it. */
  private value(depth: number): JsonValue {
    if (depth > depthMax) this.stop(`more than ${depthMax} levels`);
    this.skipBlanks();
    const value = this.bareValue(depth);
    this.skipBlanks();
    return value;
  }

  private bareValue(depth: number): JsonValue {
    const first = this.source[this.at];
    if (first === '{') return this.object(depth);
    if (first === '[') return this.array(depth);
    if (first === '"') return this.string();
    const number = this.take(numberToken);
    if (number !== null) return Number(number);
    for (const [word, value] of Object.entries(words)) {
      if (!this.source.startsWith(word, this.at)) continue;
      this.at += word.length;
      return value;
    }
    return this.stop('a value is expected here (a string is written in double quotes)');
  }

  private object(depth: number): JsonValue {
    const object: { [name: string]: JsonValue } = {};
    this.at++;
    this.skipBlanks();
    if (this.takeOne('}')) return object;
    for (;;) {
      const start = this.at;
      if (this.source[this.at] !== '"') this.stop('a key in double quotes is expected here');
      const name = this.string();
      if (Object.hasOwn(object, name)) this.report(`the key ${JSON.stringify(name)} is given twice`, start);
      this.skipBlanks();
      if (!this.takeOne(':')) this.stop('a colon is expected here');
      const value = this.value(depth + 1);
      // For the key "__proto__", an assignment would set the prototype instead.
      Object.defineProperty(object, name, { value, enumerable: true, writable: true, configurable: true });
      if (this.takeOne('}')) return object;
      if (!this.takeOne(',')) this.stop('a comma or } is expected here');
      this.skipBlanks();
    }
  }

  private array(depth: number): JsonValue {
    const array: JsonValue[] = [];
    this.at++;
    this.skipBlanks();
    if (this.takeOne(']')) return array;
    for (;;) {
      array.push(this.value(depth + 1));
      if (this.takeOne(']')) return array;
      if (!this.takeOne(',')) this.stop('a comma or ] is expected here');
    }
  }

  private string(): string {
    const token = this.take(stringToken);
    if (token === null) this.stop('this string has a wrong escape or does not end on its line');
    return JSON.parse(token) as string;
  }

  private skipBlanks(): void {
    this.take(blank);
  }

  private take(token: RegExp): string | null {
    token.lastIndex = this.at;
    const match = token.exec(this.source);
    if (match === null) return null;
    this.at += match[0].length;
    return match[0];
  }

  private takeOne(character: string): boolean {
    if (this.source[this.at] !== character) return false;
    this.at++;
    return true;
  }

  private stop(message: string): never {
    const ended = this.at >= this.source.length;
    this.report(ended ? 'the file ends too early' : message, this.at);
    throw new Stop(message);
  }

  private report(message: string, at: number): void {
    const before = this.source.slice(0, at);
    const lineStart = before.lastIndexOf('\n') + 1;
    this.problems.push({ line: before.split('\n').length, column: at - lineStart + 1, message });
    if (this.problems.length >= problemsMax) throw new Stop(message);
  }
}
