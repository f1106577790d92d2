import { printable } from '../base/printable.ts';
import type { ChangedOptions, ListedOptions, NamedOption } from '../operations/options.ts';
import { alignColumns, type Output, type Report } from './output.ts';

/** Longest value that is shown whole, and how much of a longer one is, in characters; JSON has all of it. */
const shownCharsMax = 400;
const shownCharsOfLong = 60;

/** Writes the options of patterns, or one JSON object per line. Stops early once the reader has gone. */
export async function writeOptions(
  pages: AsyncIterable<readonly ListedOptions[]>,
  output: Output,
  asJson: boolean,
): Promise<void> {
  for await (const page of pages) {
    await output.write(page.map((row) => (asJson ? `${JSON.stringify(row)}\n` : listedText(row))).join(''));
    if (output.closed) return;
  }
}

export function shownOptionsReport(listed: ListedOptions): Report {
  const isEmpty = Object.keys(listed.options).length + listed.problems.length === 0;
  return { text: isEmpty ? `${listed.pattern} has no options\n` : listedText(listed), json: listed };
}

export function changedOptionsReport(changed: ChangedOptions): Report {
  const { hasRoute, pattern, set, unset } = changed;
  const parts = [
    ...(set.length > 0 ? [`set ${set.map((name) => optionText(name, changed.options[name])).join(', ')}`] : []),
    ...(unset.length > 0 ? [`removed ${unset.map(printable).join(', ')}`] : []),
  ];
  const done = parts.length === 0 ? 'nothing changed' : parts.join('; ');
  const isAlone = !hasRoute && !pattern.startsWith('*') && Object.keys(changed.options).length > 0;
  const note = isAlone ? '; it has no route, and options do nothing without one' : '';
  return { text: `${pattern}: ${done}${note}\n`, json: changed };
}

const inheritances = { all: '', host: ' Inherited by paths of the host alone.', none: ' Not inherited.' } as const;

/** Every option that there is, with the lines that describe it. */
export function optionNamesReport(names: readonly NamedOption[]): Report {
  const text = names.map(({ name, allowed, default: byDefault, description, inherited }) =>
    [
      name,
      `  ${description.replaceAll('`', '')}`,
      `  Allowed: ${allowed}. Default: ${byDefault}.${inheritances[inherited]}`,
      '',
    ].join('\n'),
  );
  return { text: text.join('\n'), json: names };
}

function listedText({ options, pattern, problems }: ListedOptions): string {
  const rows = Object.entries(options).map(([name, value]) => optionText(name, value));
  const lines = [...rows, ...problems.map((problem) => `problem: ${printable(problem)}`)];
  return alignColumns(lines.map((line, i) => [i === 0 ? printable(pattern) : '', line]));
}

function optionText(name: string, value = ''): string {
  const shown =
    value.length <= shownCharsMax ? value : `${value.slice(0, shownCharsOfLong)}… (${value.length} characters)`;
  return `${printable(name)} = ${printable(shown)}`;
}
