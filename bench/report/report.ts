import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../../scripts/files.ts';
import type { Result } from '../result.ts';
import { scenarioNames } from '../scenarios/all.ts';
import { picture } from './picture.ts';
import { partsOf, runText } from './tables.ts';

/** Writes the parts of docs/performance.md that come from results, between their markers, and the picture. */
export function writeReport(results: readonly Result[]): void {
  const result = merge(results);
  const path = join(root, 'docs', 'performance.md');
  let text = readFileSync(path, 'utf8');
  for (const [name, part] of Object.entries({ ...partsOf(result), run: results.map(runText).join('\n') }))
    text = replacePart(text, name, part);
  writeFileSync(path, text);
  if (Object.hasOwn(result.scenarios, 'small')) writeFileSync(join(root, 'docs', 'performance.svg'), picture(result));
}

/** All scenarios that there are, in their order: of one that several results have, the last. */
function merge(results: readonly Result[]): Result {
  const [first] = results;
  if (first === undefined) throw new Error('--report: a result is needed');
  const all = new Map(results.flatMap(({ scenarios }) => Object.entries(scenarios)));
  const scenarios = scenarioNames().flatMap((name) => {
    const scenario = all.get(name);
    return scenario === undefined ? [] : [[name, scenario] as const];
  });
  return { ...first, scenarios: Object.fromEntries(scenarios) };
}

/** @throws where the markers `<!-- bench:NAME -->` and `<!-- /bench:NAME -->` are not there. */
function replacePart(text: string, name: string, part: string): string {
  const begin = `<!-- bench:${name} -->\n`;
  const end = `<!-- /bench:${name} -->`;
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from < 0 || to < from) throw new Error(`docs/performance.md: there are no markers bench:${name}`);
  return `${text.slice(0, from)}${begin}\n${part}\n${text.slice(to)}`;
}
