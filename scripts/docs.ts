// npm run docs: writes the parts of docs/ that come from the source. With --check it only says what is not current.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { endpointNames, endpoints } from '../src/admin/endpoints.ts';
import { openApi } from '../src/admin/openapi.ts';
import { errorKinds } from '../src/base/errors.ts';
import { configurationKeys } from '../src/config/schema.ts';
import { operationOf } from '../src/operations/catalogue.ts';
import { optionDefinitions } from '../src/policy/option-schema.ts';
import { accessFields, accessLogSchema } from '../src/telemetry/access-fields.ts';
import { fleetMetrics, primaryMetrics } from '../src/telemetry/metric-table.ts';
import { readFiles, root, type SourceFile } from './files.ts';
import { slugOf } from './slugs.ts';

/** A part of a page that is written by this script, between two comments that carry its name. */
interface GeneratedPart {
  readonly page: string;
  readonly name: string;
  readonly text: string;
}

/** Whole files, with their text. */
const generatedFiles: readonly (readonly [page: string, text: () => string])[] = [
  ['docs/openapi.json', () => jsonText(openApi())],
  ['docs/access-log.schema.json', () => jsonText(accessLogSchema())],
];

const sections: readonly (readonly [name: string, title: string])[] = [
  ['server', '`server`'],
  ['http', '`http`'],
  ['https', '`https`'],
  ['acme', '`acme`'],
  ['backendTls', '`backendTls`'],
  ['', 'At the top'],
  ['dns', '`dns`'],
  ['limits', '`limits`'],
  ['metrics', '`metrics`'],
  ['admin', '`admin`'],
  ['compat', '`compat`'],
];

/** What is wrong with the documentation, one line each. */
export function documentationProblems(): readonly string[] {
  const outdated = generatedParts()
    .filter((part) => replacePart(part) !== readPage(part.page))
    .map((part) => `${part.page}: the part "${part.name}" is not current; run npm run docs`);
  for (const [page, text] of generatedFiles) {
    if (!existsSync(join(root, page)) || readPage(page) !== text())
      outdated.push(`${page} is not current; run npm run docs`);
  }
  return [...outdated, ...pages().flatMap((page) => [...brokenLinks(page), ...unknownNames(page)])];
}

/** Keys, metrics and error codes that a page names, in code spans, and that the program does not have. */
function unknownNames({ path, text }: SourceFile): readonly string[] {
  // It tells of former names.
  if (path === 'CHANGELOG.md') return [];
  // Keys of Hipache 0.3, which legacy.ts renames.
  const former = ['server.port', 'server.address', 'server.https'];
  const sectionNames = sections.map(([name]) => name).filter((name) => name !== '');
  const keys = configurationKeys.map((key) => key.path.replaceAll('[]', ''));
  const metrics = new Set<string>([...Object.values(primaryMetrics), ...fleetMetrics].map(({ name }) => name));
  const isUnknown = (name: string): boolean => {
    if (/^hipache_[a-z_]+$/.test(name))
      return !metrics.has(name.replace(/_(bucket|sum|count)$/, '')) && !metrics.has(name);
    const [section = ''] = name.split('.');
    if (!/^[a-z]\w*(\.[a-zA-Z]\w*)+$/.test(name) || !sectionNames.includes(section)) return false;
    return !former.includes(name) && !keys.some((key) => key === name || key.startsWith(`${name}.`));
  };
  return [...text.matchAll(/`([\w.]+)`/g)]
    .map(([, name = '']) => name)
    .filter(isUnknown)
    .map((name) => `${path}: \`${name}\` is the name of no configuration key or metric`);
}

if (import.meta.main) {
  if (!process.argv.includes('--check')) {
    for (const part of generatedParts()) writeFileSync(join(root, part.page), replacePart(part));
    for (const [page, text] of generatedFiles) writeFileSync(join(root, page), text());
  }
  const problems = documentationProblems();
  for (const problem of problems) process.stderr.write(`${problem}\n`);
  process.exitCode = problems.length === 0 ? 0 : 1;
}

function generatedParts(): readonly GeneratedPart[] {
  return [
    { page: 'docs/access-log.md', name: 'fields', text: accessFieldTable() },
    { page: 'docs/api.md', name: 'endpoints', text: endpointTable() },
    { page: 'docs/configuration.md', name: 'keys', text: keyTables() },
    { page: 'docs/errors.md', name: 'codes', text: errorTable() },
    { page: 'docs/local-replies.md', name: 'replies', text: replyTable() },
    { page: 'docs/metrics.md', name: 'metrics', text: metricsTable() },
    { page: 'docs/options.md', name: 'options', text: optionTable() },
  ];
}

function jsonText(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function accessFieldTable(): string {
  const rows = Object.entries(accessFields).map(([name, { always, description, type }]) => [
    `\`${name}\``,
    type,
    always ? 'always' : '',
    description,
  ]);
  return table(['field', 'type', 'present', 'meaning'], rows);
}

function endpointTable(): string {
  const rows = endpointNames().map((name) => {
    const { method, path } = endpoints[name];
    const { access, summary } = operationOf(name);
    return [`\`${method} ${path}\``, access, summary];
  });
  return table(['request', 'access', 'what it does'], rows);
}

function keyTables(): string {
  const leaves = configurationKeys.filter((key) => key.description !== '' && !/\[\]$/.test(key.path));
  const known = new Set(sections.map(([name]) => name));
  return sections
    .map(([name, title]) => {
      const keys = leaves.filter((key) => {
        const section = key.path.includes('.') ? (key.path.split('.')[0] ?? '') : '';
        if (!known.has(section)) throw new Error(`scripts/docs.ts knows no section ${section}`);
        return section === name;
      });
      const rows = keys.map((key) => [
        `\`${key.path}\``,
        key.default === '' ? '' : code(key.default),
        code(key.allowed) + (key.unit === '' || key.allowed.includes(key.unit) ? '' : `, ${key.unit}`),
        key.source,
        key.description,
      ]);
      return `## ${title}\n\n${table(['key', 'default', 'allowed', 'since', 'meaning'], rows)}`;
    })
    .join('\n');
}

/** Quoted words of a value, as code. */
function code(text: string): string {
  return text.replace(/"[^"]*"/g, (quoted) => `\`${quoted}\``);
}

function errorTable(): string {
  const rows = [...errorKinds].map(([name, { source, resend, marks, summary }]) => [
    `\`${name}\``,
    source,
    resend,
    marks === 'never' ? '' : marks,
    summary,
  ]);
  return table(['code', 'source', 'sent again', 'marks', 'meaning'], rows);
}

/** The local replies, by status. */
function replyTable(): string {
  const rows = [...errorKinds]
    .filter(([, { status }]) => status !== null)
    .sort(([, a], [, b]) => (a.status ?? 0) - (b.status ?? 0))
    .map(([name, { status, text, summary }]) => [String(status), `\`${name}\``, text, summary]);
  return table(['status', '`x-hipache-error`', 'text', 'when'], rows);
}

function optionTable(): string {
  const rows = [...optionDefinitions].map(([name, { default: byDefault, description, group, inherits, type }]) => [
    `\`${name}\``,
    group,
    byDefault,
    type.allowed,
    { all: 'yes', host: 'by paths', none: 'no' }[inherits],
    description,
  ]);
  return table(['option', 'group', 'default', 'allowed', 'inherited', 'meaning'], rows);
}

function metricsTable(): string {
  const metrics = [...Object.values(primaryMetrics), ...fleetMetrics];
  const rows = metrics.map(({ name, type, label, help }) => [`\`${name}\``, type, label ?? '', help]);
  return table(['metric', 'type', 'label', 'meaning'], rows);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('');
}

function replacePart({ page, name, text }: GeneratedPart): string {
  const before = `<!-- generated: ${name}; npm run docs writes it -->\n`;
  const after = '<!-- end of generated -->\n';
  const source = readPage(page);
  const start = source.indexOf(before);
  const end = source.indexOf(after, start);
  if (start === -1 || end === -1) throw new Error(`${page} has no place for the generated part "${name}"`);
  return `${source.slice(0, start + before.length)}\n${text}\n${source.slice(end)}`;
}

function readPage(page: string): string {
  return readFileSync(join(root, page), 'utf8');
}

function pages(): readonly SourceFile[] {
  const top = ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md'].filter((name) =>
    existsSync(join(root, name)),
  );
  return [...top.map((path) => ({ path, text: readPage(path) })), ...readFiles(['docs'], '.md')];
}

/** Links to files that are not there, and to headings that no file has. Links to other sites are not followed. */
function brokenLinks({ path, text }: SourceFile): string[] {
  const withoutCode = text.replace(/```[\s\S]*?```/g, '').replace(/`[^`\n]*`/g, '');
  const links = [...withoutCode.matchAll(/\]\(([^()\s]+)\)|<(?:img|a)\s[^>]*(?:src|href)="([^"]+)"/g)];
  return links.flatMap((match) => {
    const link = match[1] ?? match[2] ?? '';
    if (/^[a-z][a-z0-9+.-]*:/i.test(link)) return [];
    const [file = '', heading = ''] = link.split('#');
    const target = file === '' ? join(root, path) : resolve(root, dirname(path), file);
    if (!existsSync(target)) return [`${path}: the link ${link} leads nowhere`];
    if (heading === '' || !target.endsWith('.md')) return [];
    return headings(readFileSync(target, 'utf8')).has(heading) ? [] : [`${path}: the link ${link} names no heading`];
  });
}

/** The anchors that GitHub makes of the headings of a page. */
function headings(text: string): ReadonlySet<string> {
  const titles = [...text.matchAll(/^#{1,6}\s+(.+)$/gm)].map((match) => match[1] ?? '');
  return new Set(titles.map(slugOf));
}
