import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../../scripts/files.ts';
import type { Result } from '../result.ts';
import { picture } from './picture.ts';
import { partsOf } from './tables.ts';

/** Writes the parts of docs/performance.md that come from a result, between their markers, and its picture. */
export function writeReport(result: Result): void {
  const path = join(root, 'docs', 'performance.md');
  let text = readFileSync(path, 'utf8');
  for (const [name, part] of Object.entries(partsOf(result))) text = replacePart(text, name, part);
  writeFileSync(path, text);
  if (Object.hasOwn(result.scenarios, 'small')) writeFileSync(join(root, 'docs', 'performance.svg'), picture(result));
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
