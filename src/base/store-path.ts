import { isAbsolute, join } from 'node:path';
import { HipacheError } from './errors.ts';

/**
 * The default file of the embedded store: `routes.sqlite` in systemd's state directory, for root in `/var/lib/hipache`,
 * else in the user's own state directory (XDG Base Directory Specification).
 * @throws HipacheError CONFIG_INVALID: the environment names no such directory.
 */
export function defaultStorePath(env: NodeJS.ProcessEnv, isRoot: boolean): string {
  const directory = stateDirectory(env, isRoot);
  if (directory !== null) return join(directory, 'routes.sqlite');
  throw new HipacheError(
    'CONFIG_INVALID',
    'no place for the embedded store: HOME and XDG_STATE_HOME are not set; give --driver sqlite:PATH',
  );
}

/** The directory of what Hipache keeps; null if the environment names none. */
export function stateDirectory(env: NodeJS.ProcessEnv, isRoot: boolean): string | null {
  // systemd's StateDirectory= may be one or several paths.
  const service = env['STATE_DIRECTORY']?.split(':')[0];
  if (service !== undefined && isAbsolute(service)) return service;
  if (isRoot) return '/var/lib/hipache';
  const state = env['XDG_STATE_HOME'];
  // The XDG specification requires a relative path to be ignored.
  if (state !== undefined && isAbsolute(state)) return join(state, 'hipache');
  const home = env['HOME'];
  return home !== undefined && isAbsolute(home) ? join(home, '.local', 'state', 'hipache') : null;
}

/** The directory of sockets, which is gone after a restart of the machine; null if the environment names none. */
export function runtimeDirectory(env: NodeJS.ProcessEnv, isRoot: boolean): string | null {
  // systemd's RuntimeDirectory= may be one or several paths.
  const service = env['RUNTIME_DIRECTORY']?.split(':')[0];
  if (service !== undefined && isAbsolute(service)) return service;
  if (isRoot) return '/run/hipache';
  const runtime = env['XDG_RUNTIME_DIR'];
  return runtime !== undefined && isAbsolute(runtime) ? join(runtime, 'hipache') : null;
}
