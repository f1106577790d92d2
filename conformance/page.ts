import { type ConformanceCase, type Level, levels, type Topic } from './case.ts';
import { isValid, type Verdict } from './judge.ts';
import { type ComparedName, titleOf } from './proxies.ts';
import type { ProxyResults } from './run-all.ts';

export type ComparedResults = ReadonlyMap<ComparedName, ProxyResults>;

const marks: Readonly<Record<Verdict['mark'], string>> = { right: '✓', allowed: '○', wrong: '✗' };

/** The page: totals, then a table for each topic. It is the same after every run that has the same outcomes. */
export function pageOf(topics: readonly Topic[], results: ComparedResults): string {
  const cases = topics.flatMap((topic) => topic.cases);
  return `${introduction(cases.length, results)}
## Totals

${totals(cases, results)}
${byLevel(cases, results)}
${topics.map((topic) => section(topic, results)).join('\n')}`;
}

/** The totals as text for a terminal. */
export function summaryOf(cases: readonly ConformanceCase[], results: ComparedResults): string {
  const rows = [...results].map(([name, ofProxy]) => {
    const counts = (['right', 'allowed', 'wrong'] as const).map((mark) => `${count(cases, ofProxy, mark)} ${mark}`);
    return `${name.padEnd(8)} ${counts.join(', ')}\n`;
  });
  return `${cases.length} cases\n${rows.join('')}`;
}

/** The cases in which Hipache does something wrong without a reason, one line each. */
export function failures(cases: readonly ConformanceCase[], results: ComparedResults): readonly string[] {
  const ofHipache = results.get('hipache');
  if (ofHipache === undefined) return [];
  return cases.flatMap((one) => {
    const verdict = ofHipache.get(one.id)?.verdict;
    if (verdict === undefined || !isFailure(one, verdict)) return [];
    return [`${one.id} (${one.level}): ${verdict.text}`];
  });
}

/** A reason excuses every outcome but one that can be read in two ways. */
export function isFailure(one: ConformanceCase, verdict: Verdict): boolean {
  return verdict.mark === 'wrong' && (one.reason === undefined || verdict.isAmbiguous);
}

/** The cell of the page for one proxy. */
export function cellOf(verdict: Verdict): string {
  return `${marks[verdict.mark]} ${verdict.text}`.replaceAll('|', '\\|');
}

function introduction(count: number, results: ComparedResults): string {
  const titles = [...results.keys()].map(titleOf);
  return `# Conformance

${count} messages, each sent through ${titles.slice(0, -1).join(', ')} and ${titles.at(-1)} to the same backend, which
records the bytes that reach it. \`npm run conformance\` runs the cases and writes this page; \`npm run conformance -- --case ID\`
shows all bytes of one case. The cases are in \`conformance/topics/\`, with the bytes and every outcome that counts as right.

Hipache has its default settings, with connections to backends that are kept. nginx and HAProxy are configured as
their manuals have it for a reverse proxy with WebSockets and the \`X-Forwarded-*\` fields (\`conformance/proxies.ts\`); other settings
of theirs can make them stricter or more lenient. The authors of Hipache chose the cases, and test most of them elsewhere too: the
totals do not say which proxy is the better one.

- ✓: as the source asks. ○: an alternative that the source allows. ✗: neither.
- A number is the status of a response that the proxy made itself. "closed": it closed the connection without a response.
  "cut off": the client got an incomplete response and can tell so.
- MUST, SHOULD and MAY are those of the source; that a valid message is forwarded counts as a MUST. Robustness: the message
  is invalid, and a recipient may repair it if it does so without ambiguity. Security: a known attack.
- The column "Hipache differs" has the reason where Hipache does not do what the source asks.
`;
}

function totals(cases: readonly ConformanceCase[], results: ComparedResults): string {
  const musts = cases.filter(({ level }) => level === 'MUST');
  const valid = cases.filter(isValid);
  const security = cases.filter(({ level }) => level === 'security');
  const rows = [
    ...[
      ['MUST: met', (of: ProxyResults) => musts.length - count(musts, of, 'wrong')],
      ['MUST: not met', (of: ProxyResults) => count(musts, of, 'wrong')],
      ['valid messages forwarded', (of: ProxyResults) => forwardedCount(valid, of)],
      ['valid messages refused', (of: ProxyResults) => valid.length - forwardedCount(valid, of)],
      ['security cases survived', (of: ProxyResults) => security.length - count(security, of, 'wrong')],
      ['security cases not survived', (of: ProxyResults) => count(security, of, 'wrong')],
      ['all cases: right or allowed', (of: ProxyResults) => cases.length - count(cases, of, 'wrong')],
      ['all cases: neither', (of: ProxyResults) => count(cases, of, 'wrong')],
    ],
  ] as const;
  const cells = rows.map(([title, value]) => [title, ...[...results.values()].map((of) => String(value(of)))]);
  return table(['', ...[...results.keys()].map(titleOf)], cells, [...results.keys()].length);
}

function byLevel(cases: readonly ConformanceCase[], results: ComparedResults): string {
  const rows = levels.map((level: Level) => {
    const those = cases.filter((one) => one.level === level);
    const cells = [...results.values()].map((of) => `${those.length - count(those, of, 'wrong')} of ${those.length}`);
    return [level, ...cells];
  });
  return table(['right or allowed, by level', ...[...results.keys()].map(titleOf)], rows, results.size);
}

function section({ title, cases }: Topic, results: ComparedResults): string {
  const rows = cases.map((one) => [
    `${one.title} (\`${one.id}\`)`,
    one.source,
    one.level,
    ...[...results.values()].map((of) => cellOf(of.get(one.id)?.verdict as Verdict)),
    noteOf(one, results),
  ]);
  const names = [...results.keys()].map((name) => titleOf(name).replace(/ .*/, ''));
  return `## ${title}\n\n${table(['case', 'source', 'level', ...names, 'Hipache differs'], rows)}`;
}

function noteOf(one: ConformanceCase, results: ComparedResults): string {
  const verdict = results.get('hipache')?.get(one.id)?.verdict;
  if (verdict?.mark === 'right') return '';
  if (one.defect !== undefined) return `To be mended: ${one.defect}`;
  return one.reason ?? '';
}

function count(cases: readonly ConformanceCase[], of: ProxyResults, mark: Verdict['mark']): number {
  return cases.filter(({ id }) => of.get(id)?.verdict.mark === mark).length;
}

function forwardedCount(cases: readonly ConformanceCase[], of: ProxyResults): number {
  return cases.filter(({ id }) => of.get(id)?.verdict.isForwarded).length;
}

/** @param numbers how many of the last columns are numbers. */
function table(head: readonly string[], rows: readonly (readonly string[])[], numbers = 0): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |\n`;
  const rule = head.map((_, at) => (at >= head.length - numbers ? '---:' : '---'));
  return [head, rule, ...rows].map(line).join('');
}
