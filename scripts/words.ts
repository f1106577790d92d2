import type { SourceFile } from './files.ts';

/** A wording that is not to come back, and the usual one. */
interface Wording {
  /** Case does not matter; a blank stands for any white space, so that a phrase is found across the end of a line. */
  readonly phrase: string;
  readonly instead: string;
}

/** Regular expressions without the word boundaries around them. */
const wordings: readonly Wording[] = [
  { phrase: 'shall', instead: '"must", "can" or the present tense' },
  { phrase: '(?:is|are|was|were|be|been|being) told', instead: '"receives", "learns" or "is notified"' },
  { phrase: 'told of', instead: '"notified of"' },
  { phrase: 'minded', instead: '"tracked" or "watched"' },
  { phrase: 'go(?:es)? before', instead: '"takes precedence over", or "precedes"' },
  { phrase: 'for ever', instead: '"indefinitely", "without limit" or "never ends"' },
  { phrase: 'where there (?:is|are) none', instead: '"without a …", or "otherwise"' },
  { phrase: 'go(?:es)? on being', instead: '"is still" or "continues to be"' },
  { phrase: 'who(?:so)?ever', instead: '"any client that", "every caller", or its name' },
  { phrase: 'who asks?', instead: '"the client" or "the caller"' },
  { phrase: 'who reads?', instead: '"the reader" or "you"' },
  { phrase: 'own answers?', instead: '"local reply"' },
  { phrase: 'interim (?:\\(1xx\\) )?answers?', instead: '"informational response"' },
  { phrase: 'held (?:body|bodies)', instead: '"replay buffer"' },
  { phrase: 'held bytes', instead: '"partial head"' },
  { phrase: 'last words', instead: '"write-failure grace" or "exit grace"' },
  { phrase: 'surroundings', instead: '"environment"' },
  { phrase: 'suspects?', instead: '"marked backend"' },
  { phrase: 'hand-over', instead: '"file ownership" or "transfer"' },
  { phrase: '(?<!there )(?:is|are|was|were|be) no more(?! than)', instead: '"no longer"' },
  { phrase: 'as a rule', instead: '"usually"' },
];

/** Words of names in the code, in camel case. */
const names: readonly Wording[] = [
  { phrase: 'Interim', instead: '"informational"' },
  { phrase: 'OwnAnswer', instead: '"localReply"' },
  { phrase: 'HeldBody', instead: '"replayBuffer"' },
  { phrase: 'HeldBytes', instead: '"partialHead"' },
  { phrase: 'Mistakes', instead: '"errors" or "errorCollector"' },
  { phrase: 'Surroundings', instead: '"environment"' },
  { phrase: 'HandOver', instead: '"fileOwnership"' },
  { phrase: 'RareProblems', instead: '"rateLimitedLog"' },
  { phrase: 'LastWords', instead: '"writeFailureGrace" or "exitGrace"' },
];

const phrases = wordings.map(({ phrase, instead }) => ({
  pattern: new RegExp(`\\b(?:${phrase.replaceAll(' ', '\\s+')})\\b`, 'gi'),
  instead,
}));
const nameParts = names.map(({ phrase, instead }) => ({ name: phrase, parts: partsOf(phrase), instead }));

/** Stands for what is no prose, so that no phrase is found across it. White space stays, and with it the lines. */
const gap = '\0';

/**
 * Wordings of the tables above, one line each, in the prose of Markdown and in the comments, strings and names of the
 * TypeScript in src/.
 */
export function wordProblems(files: readonly SourceFile[]): readonly string[] {
  return files.flatMap(({ path, text }) => {
    if (path.endsWith('.md')) return report(path, phraseFindings(proseOfMarkdown(text)));
    if (!path.startsWith('src/') || !path.endsWith('.ts')) return [];
    const { prose, code } = splitTypeScript(text);
    return report(path, [...phraseFindings(prose), ...nameFindings(code)]);
  });
}

interface Finding {
  readonly line: number;
  /** What was found, and what to write. */
  readonly message: string;
}

function report(path: string, findings: readonly Finding[]): string[] {
  return [...findings].sort((a, b) => a.line - b.line).map(({ line, message }) => `${path}:${line}: ${message}`);
}

function phraseFindings(prose: string): Finding[] {
  const found = phrases.flatMap(({ pattern, instead }) =>
    [...prose.matchAll(pattern)].map(({ 0: phrase, index }) => ({
      line: lineAt(prose, index),
      message: `the phrase "${phrase.replace(/\s+/g, ' ')}"; write ${instead}`,
    })),
  );
  return [...found, ...relativeSentences(prose)];
}

/** Sentences such as "What is known is served": the relative clause is their subject. Questions are none. */
function relativeSentences(prose: string): Finding[] {
  return [...prose.matchAll(/\b(Who|What)\s/g)].flatMap(({ 1: word, index }) => {
    const before = prose.slice(prose.lastIndexOf('\n', index - 1) + 1, index);
    if (!isSentenceStart(before)) return [];
    const end = /[.?!:](?=[\s"')*_]|$)|\||\n\s*\n|\0(?=\n|$)/.exec(prose.slice(index));
    if (end !== null && (end[0] === '?' || end[0] === ':')) return [];
    const message = `the phrase "${word} …" as the subject of a sentence; write what or whom it is about as the subject`;
    return [{ line: lineAt(prose, index), message }];
  });
}

/** @param before what stands before a word in its line. Headings have no sentences. */
function isSentenceStart(before: string): boolean {
  if (/^\s*#/.test(before)) return false;
  return /(?:^|[.?!:]["')*_]*\s|[|\0])[\s>*_+-]*(?:\d+[.)]\s+)?[*_]*$/.test(before);
}

function nameFindings(code: string): Finding[] {
  return [...code.matchAll(/[A-Za-z_$][\w$]*/g)].flatMap(({ 0: name, index }) => {
    const parts = partsOf(name);
    return nameParts
      .filter((banned) => parts.some((_, at) => startsWith(parts, at, banned.parts)))
      .map(({ name: word, instead }) => ({
        line: lineAt(code, index),
        message: `the name "${name}" has "${word}"; write ${instead}`,
      }));
  });
}

/** The words of a name in camel case or with underscores, in lower case. */
function partsOf(name: string): readonly string[] {
  return (name.match(/[A-Z]+(?![a-z])|[A-Z]?[a-z\d]+/g) ?? []).map((part) => part.toLowerCase());
}

/** Whether `banned` is found at `from`; its last word also in the plural. */
function startsWith(parts: readonly string[], from: number, banned: readonly string[]): boolean {
  return banned.every((word, at) => {
    const part = parts[from + at];
    return part === word || (at === banned.length - 1 && part === `${word}s`);
  });
}

/** Markdown without code, comments, the targets of links, and the parts that scripts write from the source. */
function proseOfMarkdown(text: string): string {
  return [
    /<!-- generated: [\s\S]*?<!-- end of generated -->/g,
    /<!-- bench:([\w-]+) -->[\s\S]*?<!-- \/bench:\1 -->/g,
    /<!--[\s\S]*?-->/g,
    /^[ \t]*```[\s\S]*?^[ \t]*```/gm,
  ]
    .reduce((prose, pattern) => prose.replace(pattern, blank), text)
    .replace(/(`+)(?!`)[\s\S]*?\1|(?<=\])\([^()\s]*\)/g, aWord);
}

/** A file's comments and strings, and the rest of it: each as long as the file, with gaps for the other. */
function splitTypeScript(text: string): { readonly prose: string; readonly code: string } {
  let prose = '';
  let code = '';
  for (const { kind, part } of tokens(text)) {
    prose += kind === 'code' || kind === 'pattern' ? blank(part) : proseOf(kind, part);
    code += kind === 'code' ? part : blank(part);
  }
  return { prose, code };
}

type Kind = 'comment' | 'string' | 'pattern' | 'code';

function proseOf(kind: Kind, part: string): string {
  if (kind === 'string')
    return blank(part.slice(0, 1)) + part.slice(1, -1).replace(/\\[\s\S]/g, blank) + blank(part.slice(-1));
  // The marks of a comment are blanks, so that its sentences go on from line to line.
  return part
    .replace(/^\/\/+|^\/\*+|\*+\/$|^[ \t]*\*+(?=[ \t]|$)/gm, (mark) => ' '.repeat(mark.length))
    .replace(/`[^`\n]*`/g, aWord);
}

const whole =
  /(?<comment>\/\/[^\n]*|\/\*[\s\S]*?\*\/)|(?<string>'(?:[^'\\\n]|\\[\s\S])*'|"(?:[^"\\\n]|\\[\s\S])*")|(?<word>[\w$]+)|(?<blank>\s+)|(?<other>[\s\S])/y;
const regularExpression = /\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y;
/** From a backtick, or the brace that ends an expression, to the next of them. */
const templatePart = /[`}](?:[^`\\$]|\\[\s\S]|\$(?!\{))*(?:`|\$\{)/y;

/** A file in its parts, one after the other, so far as the search needs them. */
function* tokens(text: string): Generator<{ readonly kind: Kind; readonly part: string }> {
  /** Braces that are open in each expression of a template under way. */
  const open: number[] = [];
  let before = '';
  const take = (pattern: RegExp, at: number): string | undefined => {
    pattern.lastIndex = at;
    return pattern.exec(text)?.[0];
  };
  for (let at = 0; at < text.length; ) {
    const first = text[at];
    let kind: Kind = 'code';
    let part: string | undefined;
    if (first === '`' || (first === '}' && open.at(-1) === 0)) {
      part = take(templatePart, at);
      kind = 'string';
      if (first === '}') open.pop();
      if (part?.endsWith('${')) open.push(0);
    } else if (first === '/' && !/^\/[/*]/.test(text.slice(at, at + 2)) && mayBegin(before)) {
      part = take(regularExpression, at);
      kind = 'pattern';
    }
    if (part === undefined) {
      whole.lastIndex = at;
      const { comment, string } = whole.exec(text)?.groups ?? {};
      part = comment ?? string ?? take(whole, at) ?? '';
      kind = comment !== undefined ? 'comment' : string !== undefined ? 'string' : 'code';
      const depth = open.at(-1);
      if (depth !== undefined && part === '{') open[open.length - 1] = depth + 1;
      if (depth !== undefined && part === '}') open[open.length - 1] = depth - 1;
    }
    if (kind !== 'comment' && part.trim() !== '') before = part;
    at += part.length;
    yield { kind, part };
  }
}

/** Whether a slash after `before` begins a regular expression rather than divides. */
function mayBegin(before: string): boolean {
  return before === '' || /^(?:return|typeof|case|in|of|yield|await)$/.test(before) || /[^\w$)\]}'"`]$/.test(before);
}

function blank(part: string): string {
  return part.replace(/\S/g, gap);
}

/** Code within a sentence: part of it, but none of its phrases. */
function aWord(part: string): string {
  return part.replace(/\S/g, 'x');
}

function lineAt(text: string, index: number): number {
  return text.slice(0, index).split('\n').length;
}
