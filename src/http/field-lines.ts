/**
 * Fields to send, in order. They are stored as HTTP/1 lines, because most are sent that way and many are the same for
 * every request of a connection. Other codecs iterate over them.
 */
export class FieldLines {
  /** The fields as latin1 lines, each with its CR LF. */
  text: string;

  /** @param text lines in the format of `text`. */
  constructor(text = '') {
    this.text = text;
  }

  /** @param value must not contain CR, LF or NUL. */
  add(name: string, value: string): void {
    this.text += `${name}: ${value}\r\n`;
  }

  append(lines: FieldLines): void {
    this.text += lines.text;
  }

  *[Symbol.iterator](): IterableIterator<readonly [name: string, value: string]> {
    const { text } = this;
    for (let start = 0; start < text.length; ) {
      const end = text.indexOf('\r\n', start);
      const colon = text.indexOf(':', start);
      yield [text.slice(start, colon), text.slice(colon + 1, end).trim()];
      start = end + 2;
    }
  }
}

/** Changes to a message's fields on the way through: some are dropped, and these lines are added after the rest. */
export class FieldEdits extends FieldLines {
  /** The fields to drop, as a set of `Field` numbers. */
  readonly dropped: number;
  /** Names of further fields to drop, as `comparedName` gives them; null for none. */
  names: ReadonlySet<string> | null = null;
  /** The value of the Host field in place of the client's; null: the client's. Of requests. */
  host: string | null = null;
  /** The path and query in place of the client's; null: the client's. Of requests. */
  path: string | null = null;

  constructor(dropped: number, text = '') {
    super(text);
    this.dropped = dropped;
  }
}

/** Whether a field has one of these names. */
export function isNamed(name: string, names: ReadonlySet<string>): boolean {
  return names.has(comparedName(name));
}

/**
 * The form in which names are compared: lower case, and `-` for all that is neither letter nor digit. CGI, WSGI and the like
 * make `_` of some or all of these.
 */
export function comparedName(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '-');
}
