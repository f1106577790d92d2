/**
 * Fields to send, in their order. They are kept in the form that HTTP/1 sends, since most of them are sent that way and
 * many are the same for every request of a connection; other codecs iterate.
 */
export class FieldLines {
  /** The fields as lines, each with its CR LF; latin1. */
  text: string;

  /** @param text lines as `text` has them. */
  constructor(text = '') {
    this.text = text;
  }

  /** @param value without CR, LF or NUL. */
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

/** What is changed in the fields of a message on its way: some are left out, these lines are added behind the others. */
export class FieldEdits extends FieldLines {
  /** Fields to leave out, as a set of numbers of `Field`. */
  readonly dropped: number;

  constructor(dropped: number, text = '') {
    super(text);
    this.dropped = dropped;
  }
}
