import { dirname } from 'node:path';
import { HipacheError } from '../base/errors.ts';
import { type Config, type Diagnostics, resolveConfig } from './config.ts';
import { findConfigFile, readConfigFile } from './file.ts';
import { translateLegacyKeys } from './legacy.ts';
import { correctLooseValues } from './loose-values.ts';
import { expandNetworks } from './network-files.ts';
import { describeFound, describeIssues } from './problems.ts';
import { configurationKeys, fileSchema } from './schema.ts';
import { insertSecrets } from './secrets.ts';
import { isPlain, keepKnownKeys, type Plain } from './shape.ts';

export interface LoadOptions {
  /** The file of `--config`, relative to `cwd`. */
  readonly file?: string | undefined;
  /** Takes precedence over the file's driver. */
  readonly driver?: string | undefined;
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** Whether this process runs as root; determined from the process by default. */
  readonly isRoot?: boolean;
}

export interface LoadedConfig {
  readonly config: Config;
  /** Absolute path of the file; null if there is none. */
  readonly file: string | null;
  /** For information: one line each. */
  readonly notes: readonly string[];
  /** Need attention: one line each, starting with the key. */
  readonly warnings: readonly string[];
}

const keyPaths = configurationKeys.map(({ path }) => path);
const notesByPath = new Map(configurationKeys.map((key) => [key.path, key]));

/**
 * Finds, reads, checks and resolves the configuration.
 * @throws HipacheError CONFIG_UNREADABLE: no such file, or not JSON or YAML, with line and column.
 * @throws HipacheError CONFIG_INVALID: every error on its own line, `key: found …, allowed …`.
 */
export function loadConfig(options: LoadOptions): LoadedConfig {
  const file = findConfigFile(options.file, options.env, options.cwd);
  const parsed = file === null ? {} : readConfigFile(file);
  const name = file === null ? 'the configuration' : `the configuration file ${file}`;
  if (!isPlain(parsed)) {
    throw new HipacheError(
      'CONFIG_INVALID',
      `${name}: found ${describeFound(parsed, false)}, allowed an object of keys`,
    );
  }
  const diagnostics: Diagnostics = { notes: [], warnings: [], problems: [] };
  const known = keepKnownKeys(
    fileSchema,
    translateLegacyKeys(parsed, diagnostics.warnings),
    keyPaths,
    diagnostics.warnings,
  );
  diagnostics.problems.push(...insertSecrets(known, options.env, file === null ? options.cwd : dirname(file)));
  correctLooseValues(known, diagnostics.warnings);
  if (options.driver !== undefined) known['driver'] = options.driver;
  const checked = fileSchema.safeParse(known);
  if (!checked.success) diagnostics.problems.push(...describeIssues(checked.error.issues, known, notesByPath));
  const config = checked.success
    ? resolveConfig(
        checked.data,
        {
          hasFile: file !== null,
          isLegacy:
            file !== null && !configurationKeys.some(({ path, source }) => source === 'new' && isGiven(known, path)),
          isGiven: (path) => isGiven(known, path),
          env: options.env,
          isRoot: options.isRoot ?? process.getuid?.() === 0,
        },
        diagnostics,
      )
    : null;
  const whole = config === null ? null : withNetworks(config, file === null ? options.cwd : dirname(file), diagnostics);
  if (whole === null || diagnostics.problems.length > 0) throw invalid(name, diagnostics);
  return { config: whole, file, notes: diagnostics.notes, warnings: diagnostics.warnings };
}

/** The configuration with the networks of the files that it names. */
function withNetworks(config: Config, directory: string, { problems }: Diagnostics): Config {
  const { server } = config;
  const expanded = expandNetworks('server.trustedProxies', server.trustedProxies, directory);
  problems.push(...expanded.problems);
  return { ...config, server: { ...server, trustedProxies: [...expanded.networks] } };
}

function isGiven(known: unknown, path: string): boolean {
  let value: unknown = known;
  for (const step of path.split('.')) {
    if (!isPlain(value) || !Object.hasOwn(value, step)) return false;
    value = (value as Plain)[step];
  }
  return true;
}

function invalid(name: string, { problems, warnings }: Diagnostics): HipacheError {
  const count = problems.length === 1 ? 'a wrong value' : `${problems.length} wrong values`;
  const lines = [`${name} has ${count}:`, ...problems.map(indent)];
  // A misspelt key often causes a wrong value, so the warnings are shown as well.
  if (warnings.length > 0) lines.push('and besides:', ...warnings.map(indent));
  return new HipacheError('CONFIG_INVALID', lines.join('\n'));
}

function indent(line: string): string {
  return `  ${line}`;
}
