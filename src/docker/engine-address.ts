import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { HipacheError } from '../base/errors.ts';
import { readRegularFileSync } from '../base/regular-file.ts';

/** Where the API of Docker or Podman is. */
export type EngineAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly url: URL; readonly tls: EngineTls | null };

/** PEM texts; null where the system's authorities, or no certificate of the client, are to be used. */
export interface EngineTls {
  readonly ca: string | null;
  readonly cert: string | null;
  readonly key: string | null;
}

/** Variables of the environment, as the command `docker` reads them. */
type DockerEnvironment = Readonly<Record<string, string | undefined>>;

const allowed = '/run/docker.sock, unix:///run/podman/podman.sock, tcp://HOST:PORT or https://HOST:PORT';
const pemBytesMax = 1024 * 1024;

/**
 * The address of the API: the one that is given, that of `DOCKER_HOST`, or the first usual socket that exists, of Docker, of
 * Podman, and of Podman of the current user; if none does, that of Docker. Certificates come from `DOCKER_CERT_PATH`.
 * @throws HipacheError COMMAND_INVALID.
 */
export function engineAddress(
  given: string | undefined,
  env: DockerEnvironment,
  exists: (path: string) => boolean = existsSync,
): EngineAddress {
  const host = env['DOCKER_HOST'];
  if (given === undefined && (host === undefined || host === ''))
    return { kind: 'unix', path: usualSocket(env, exists) };
  const text = given ?? host ?? '';
  const name = given === undefined ? 'DOCKER_HOST' : '--socket';
  const path = text.startsWith('/') ? text : /^unix:(?:\/\/)?(\/.*)$/.exec(text)?.[1];
  if (path !== undefined) return { kind: 'unix', path };
  const [, scheme = '', rest = ''] = /^(tcp|http|https):\/\/(.+)$/i.exec(text) ?? [];
  const folder = env['DOCKER_CERT_PATH'] ?? '';
  const isSecure =
    scheme.toLowerCase() === 'https' || (scheme.toLowerCase() === 'tcp' && (env['DOCKER_TLS_VERIFY'] ?? '') !== '');
  const target = `${isSecure ? 'https' : 'http'}://${rest}`;
  if (scheme === '' || !URL.canParse(target)) {
    throw new HipacheError('COMMAND_INVALID', `${name}: found ${JSON.stringify(text)}, allowed ${allowed}`);
  }
  const url = new URL(target);
  if (url.port === '' && scheme.toLowerCase() === 'tcp') url.port = isSecure ? '2376' : '2375';
  return { kind: 'tcp', url, tls: isSecure ? readTls(folder) : null };
}

/** The address for messages. */
export function shownEngine(address: EngineAddress): string {
  return address.kind === 'unix' ? address.path : address.url.origin;
}

function usualSocket(env: DockerEnvironment, exists: (path: string) => boolean): string {
  const own = env['XDG_RUNTIME_DIR'];
  const usual = ['/run/docker.sock', '/var/run/docker.sock', '/run/podman/podman.sock'];
  if (own !== undefined && own !== '') usual.push(join(own, 'podman/podman.sock'));
  return usual.find((path) => exists(path)) ?? '/run/docker.sock';
}

function readTls(folder: string): EngineTls {
  if (folder === '') return { ca: null, cert: null, key: null };
  const read = (name: string): string | null => {
    const path = join(folder, name);
    if (!existsSync(path)) return null;
    try {
      return readRegularFileSync(path, pemBytesMax).toString('utf8');
    } catch (error) {
      throw new HipacheError('COMMAND_INVALID', `DOCKER_CERT_PATH: ${path}: ${(error as Error).message}`);
    }
  };
  return { ca: read('ca.pem'), cert: read('cert.pem'), key: read('key.pem') };
}
