// Control characters (C0, DEL, C1), line and paragraph separators, and marks that change the writing direction.
const unsafe = /[\p{Cc}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/**
 * Makes `text` a single line that is harmless to a terminal: each character that would move the cursor, start an escape
 * sequence or reorder the output becomes `\xNN` or `\uNNNN`. Records and requests contain text from strangers.
 */
export function printable(text: string): string {
  return text.replace(unsafe, escapeCharacter);
}

function escapeCharacter(character: string): string {
  if (character === '\n') return '\\n';
  if (character === '\r') return '\\r';
  if (character === '\t') return '\\t';
  const code = character.charCodeAt(0).toString(16);
  return code.length > 2 ? `\\u${code.padStart(4, '0')}` : `\\x${code.padStart(2, '0')}`;
}
