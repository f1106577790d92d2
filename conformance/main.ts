// npm run conformance: sends every case through Hipache, nginx and HAProxy, and writes docs/conformance.md.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { root } from '../scripts/files.ts';
import { conformanceServers, ensureServers } from '../scripts/servers.ts';
import type { ConformanceCase } from './case.ts';
import { type ComparedResults, failures, pageOf, summaryOf } from './page.ts';
import { type ComparedName, ComparedProxies, comparedNames } from './proxies.ts';
import { type CaseResult, runAll } from './run-all.ts';
import { topics } from './topics/all.ts';

const help = `npm run conformance -- [options]
  --only TOPIC      a topic: ${topics.map(({ name }) => name).join(', ')}
  --case ID         one case, with all bytes on both sides
  --proxies NAMES   of ${comparedNames.join(',')}
Without options it writes docs/conformance.md.
`;

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`conformance: ${(error as Error).message}\n`);
  process.exitCode = 1;
}

/** @returns 1 if Hipache does something wrong without a reason. */
async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      ...{ only: { type: 'string' }, case: { type: 'string' }, proxies: { type: 'string' }, help: { type: 'boolean' } },
    },
  });
  if (values.help) {
    process.stdout.write(help);
    return 0;
  }
  const chosen = topics.filter(({ name }) => values.only === undefined || name === values.only);
  const cases = chosen
    .flatMap((topic) => topic.cases)
    .filter(({ id }) => values.case === undefined || id === values.case);
  const names: readonly string[] = values.proxies?.split(',') ?? comparedNames;
  if (!names.every(isCompared) || cases.length === 0) throw new Error(`no such case, topic or proxy\n\n${help}`);
  if (!(await ensureServers(conformanceServers.filter(({ program }) => names.some((name) => name === program)))))
    return 1;
  const results = await run(cases, names);
  if (values.case !== undefined) printBytes(values.case, results);
  const isWhole = [values.only, values.case, values.proxies].every((value) => value === undefined);
  if (isWhole) writeFileSync(join(root, 'docs', 'conformance.md'), pageOf(topics, results));
  process.stdout.write(summaryOf(cases, results));
  const failed = failures(cases, results);
  for (const failure of failed) process.stderr.write(`conformance: ${failure}\n`);
  return failed.length === 0 ? 0 : 1;
}

function isCompared(name: string): name is ComparedName {
  return comparedNames.some((known) => known === name);
}

async function run(cases: readonly ConformanceCase[], names: readonly ComparedName[]): Promise<ComparedResults> {
  const proxies = new ComparedProxies();
  try {
    const started = [];
    for (const name of names) started.push(await proxies.start(name));
    return new Map(await Promise.all(started.map(async (proxy) => [proxy.name, await runAll(cases, proxy)] as const)));
  } finally {
    await proxies.stop();
  }
}

function printBytes(id: string, results: ComparedResults): void {
  for (const [name, ofProxy] of results) {
    const { seen, verdict } = ofProxy.get(id) as CaseResult;
    const { client, backend } = seen.transcript;
    const lines = [
      `${name}: ${verdict.mark}: ${verdict.text}`,
      ...shown('client sends', client.sent),
      ...backend.flatMap((connection, at) => [
        ...shown(`backend receives (connection ${at + 1})`, connection.received),
        ...shown(`backend sends (connection ${at + 1})`, connection.sent),
      ]),
      ...shown(`client receives (then ${client.end})`, client.received),
    ];
    process.stdout.write(`${lines.join('\n')}\n\n`);
  }
}

/** Bytes line by line, with escapes. */
function shown(title: string, bytes: string): string[] {
  const lines = bytes === '' ? [] : bytes.split(/(?<=\n)/);
  return [`  ${title}:`, ...lines.map((line) => `    ${JSON.stringify(line).slice(1, -1)}`)];
}
