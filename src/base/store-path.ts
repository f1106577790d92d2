import { isAbsolute, join } from 'node:path';
import { HipacheError } from './errors.ts';

/**
 * The default file of the embedded store: `routes.sqlite` in systemd's state directory, for root in `/var/lib/hipache`,
 * else in the user's own state directory (XDG Base Directory Specification).
 * @throws HipacheError CONFIG_INVALID: the environment names no such directory.
 */
export function defaultStorePath(env: NodeJS.ProcessEnv, isRoot: boolean): string {
  // systemd's StateDirectory= may be one or several paths.
  const service = env['STATE_DIRECTORY']?.split(':')[0];
  if (service !== undefined && isAbsolute(service)) return join(service, 'routes.sqlite');
  if (isRoot) return '/var/lib/hipache/routes.sqlite';
  const state = env['XDG_STATE_HOME'];
  // The XDG specification requires a relative path to be ignored.
  if (state !== undefined && isAbsolute(state)) return join(state, 'hipache', 'routes.sqlite');
  const home = env['HOME'];
  if (home !== undefined && isAbsolute(home)) return join(home, '.local', 'state', 'hipache', 'routes.sqlite');
  throw new HipacheError(
    'CONFIG_INVALID',
    'no place for the embedded store: HOME and XDG_STATE_HOME are not set; give --driver sqlite:PATH',
  );
}
