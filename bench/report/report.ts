import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../../scripts/files.ts';
import type { Result } from '../result.ts';
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

/** All scenarios: of one that several results have, the last that has as many proxies as the first. */
function merge(results: readonly Result[]): Result {
  const [first, ...others] = results;
  if (first === undefined) throw new Error('--report: a result is needed');
  const scenarios = { ...first.scenarios };
  for (const { scenarios: more } of others) {
    for (const [name, scenario] of Object.entries(more)) {
      const known = scenarios[name];
      const count = known === undefined ? 0 : Object.keys(known.samples).length;
      if (Object.keys(scenario.samples).length >= count) scenarios[name] = scenario;
    }
  }
  return { ...first, scenarios };
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
