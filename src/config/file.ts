import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { extname, resolve } from 'node:path';
import { HipacheError } from '../base/errors.ts';
import { readRegularFileSync } from '../base/regular-file.ts';
import { readJson, type SyntaxProblem } from './json.ts';

const fileBytesMax = 16 * 1024 * 1024;
const aliasesMax = 100;

const load = createRequire(import.meta.url);

/**
 * The configuration file to use: `file` if given; else `config/config_<flavor>.json` if SETTINGS_FLAVOR is set; else
 * `config/config.json` if it exists; else null. Paths are relative to `cwd`.
 * @throws HipacheError CONFIG_UNREADABLE if SETTINGS_FLAVOR is not a plain name.
 */
export function findConfigFile(file: string | undefined, env: NodeJS.ProcessEnv, cwd: string): string | null {
  if (file !== undefined) return resolve(cwd, file);
  const flavor = env['SETTINGS_FLAVOR'];
  if (flavor !== undefined && flavor !== '') {
    if (!/^[\w-][\w.-]*$/.test(flavor)) {
      throw new HipacheError(
        'CONFIG_UNREADABLE',
        `SETTINGS_FLAVOR: found ${JSON.stringify(flavor)}, allowed letters, digits, "-", "_" and "."`,
      );
    }
    return resolve(cwd, 'config', `config_${flavor}.json`);
  }
  const usual = resolve(cwd, 'config', 'config.json');
  return existsSync(usual) ? usual : null;
}

/**
 * Reads a configuration file: JSON or YAML by its extension, with or without a byte order mark. An empty YAML file
 * gives an empty object.
 * @throws HipacheError CONFIG_UNREADABLE, naming the file and every position.
 */
export function readConfigFile(path: string): unknown {
  const extension = extname(path).toLowerCase();
  if (extension !== '.json' && extension !== '.yaml' && extension !== '.yml') {
    throw unreadable(path, 'its name must end in .json, .yaml or .yml');
  }
  const source = readText(path);
  const { value, problems } = extension === '.json' ? readJson(source) : readYaml(path, source);
  if (problems.length > 0) throw unreadableAt(path, problems);
  return value;
}

function readText(path: string): string {
  let bytes: Buffer;
  try {
    bytes = readRegularFileSync(path, fileBytesMax);
  } catch (error) {
    throw unreadable(path, reasonOf(error), error);
  }
  try {
    // Removes a byte order mark.
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw unreadable(path, 'it is not UTF-8 text', error);
  }
}

function readYaml(path: string, source: string): { value: unknown; problems: readonly SyntaxProblem[] } {
  // Loaded for YAML only: it takes a tenth of the time that a command takes.
  const { LineCounter, parseAllDocuments }: typeof import('yaml') = load('yaml');
  const lines = new LineCounter();
  const documents = parseAllDocuments(source, { lineCounter: lines, prettyErrors: false, stringKeys: true });
  const [document, second] = [...documents];
  if (document === undefined) return { value: {}, problems: [] };
  const problems = document.errors.map((error): SyntaxProblem => {
    const { line, col } = lines.linePos(error.pos[0]);
    return { line, column: col, message: yamlMessage(error.code, error.message, source.slice(error.pos[0])) };
  });
  if (second !== undefined) {
    const { line, col } = lines.linePos(second.range[0]);
    problems.push({ line, column: col, message: 'a second document starts here; one is allowed' });
  }
  if (problems.length > 0) return { value: null, problems };
  try {
    return { value: document.toJS({ maxAliasCount: aliasesMax }) ?? {}, problems };
  } catch (error) {
    throw unreadable(path, error instanceof Error ? error.message : 'its aliases cannot be resolved', error);
  }
}

function yamlMessage(code: string, message: string, found: string): string {
  if (code === 'DUPLICATE_KEY') return `the key ${/^[^\s:,}\]]{1,100}/.exec(found)?.[0] ?? ''} is given twice`;
  // Some quote the text that they stumbled over, which may be a password.
  return message.replace(/: ".*"$/s, '');
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EACCES') return 'this user may not read it';
  if (code === 'EISDIR') return 'it is a directory';
  return error instanceof Error ? error.message : String(error);
}

function unreadable(path: string, reason: string, cause?: unknown): HipacheError {
  return new HipacheError('CONFIG_UNREADABLE', `the configuration file ${path} cannot be read: ${reason}`, { cause });
}

function unreadableAt(path: string, problems: readonly SyntaxProblem[]): HipacheError {
  const places = problems.map(({ line, column, message }) => `  line ${line}, column ${column}: ${message}`);
  return new HipacheError(
    'CONFIG_UNREADABLE',
    [`the configuration file ${path} cannot be read:`, ...places].join('\n'),
  );
}
