import { CR, LF } from '../http/bytes.ts';

/** Why a head that is written loosely is refused nevertheless. */
export class LooseHeadError extends Error {}

/**
 * Finds the end of a head whose lines end with LF, with or without CR, as bytes arrive. The caller passes the same bytes
 * again, followed by new ones; nothing is scanned twice.
 */
export class LooseHeadEnd {
  private lineStart = 0;
  private scanned = 0;

  /** @returns the length of the head in `bytes[start, end)`; 0 if it is not complete. */
  find(bytes: Buffer, start: number, end: number): number {
    for (;;) {
      const feed = bytes.indexOf(LF, start + this.scanned);
      if (feed === -1 || feed >= end) {
        this.scanned = end - start;
        return 0;
      }
      const length = feed - start - this.lineStart;
      const isEmpty = length === 0 || (length === 1 && bytes[feed - 1] === CR);
      const isFirst = this.lineStart === 0;
      this.lineStart = feed + 1 - start;
      this.scanned = this.lineStart;
      if (isEmpty && !isFirst) return this.lineStart;
    }
  }
}

/**
 * A head in its strict form: each line ends with CR LF, no line is folded, no blank stands before a colon. Backends may
 * send the other forms, and a proxy corrects them (RFC 9112 sections 2.2, 5.1 and 5.2).
 * @param text a complete head.
 * @throws LooseHeadError if it could be read in more than one way.
 */
export function strictHead(text: string): string {
  const lines = text.split('\n');
  // Nothing follows the last LF.
  lines.pop();
  const strict: string[] = [];
  let isBare = false;
  for (const [at, sent] of lines.entries()) {
    const isTerminated = sent.endsWith('\r');
    // A program that writes LF alone goes on with that, maybe behind the lines of the server that runs it (CGI). One LF
    // among other lines is part of a value: it may be an attack.
    const isLast = at === lines.length - 1;
    if (isTerminated ? isBare : !isBare && !isLast && !strict.slice(1).every(isOfServer)) {
      throw new LooseHeadError('bare line feed');
    }
    isBare ||= !isTerminated;
    const line = isTerminated ? sent.slice(0, -1) : sent;
    if (isLast) break;
    const isFolded = line.startsWith(' ') || line.startsWith('\t');
    if (isFolded) strict.push(unfolded(strict, line));
    else strict.push(line.replace(/^([^\s:]+)[ \t]+:/, '$1:'));
  }
  return `${strict.join('\r\n')}\r\n\r\n`;
}

/** A field that a server writes itself, with a value that no client has a part in. */
function isOfServer(line: string): boolean {
  return /^(?:connection|date|server):/i.test(line);
}

/** The last line of `strict`, which is taken from there, with its continuation. */
function unfolded(strict: string[], line: string): string {
  const before = strict.length > 1 ? strict.pop() : undefined;
  const more = line.replace(/^[ \t]+|[ \t]+$/g, '');
  // Parsers disagree on a line of blanks alone, and on framing fields that are folded.
  if (before === undefined || more === '' || /^(?:content-length|transfer-encoding|connection):/i.test(before)) {
    throw new LooseHeadError('folded line');
  }
  return `${before} ${more}`;
}
