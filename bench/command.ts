import { basename, isAbsolute } from 'node:path';

/**
 * How a run was started, without what is of one machine only: the name of a file says enough, and another checkout is
 * known by its revision.
 */
export function commandOf(args: readonly string[], againstRevision: string | null): string {
  const shown = args.map((arg, i) => {
    const [, option = '', value = ''] = /^(--[a-z]+=)?(.*)$/s.exec(arg) ?? [];
    const isAgainst = option === '--against=' || (option === '' && args[i - 1] === '--against');
    if (isAgainst && againstRevision !== null) return option + againstRevision;
    return option + (isAbsolute(value) ? basename(value) : value);
  });
  return ['npm run bench', ...(shown.length > 0 ? ['--', ...shown] : [])].join(' ');
}
