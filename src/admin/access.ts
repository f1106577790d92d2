import { createHash, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';
import { parseAdminBind } from '../config/admin.ts';
import type { Config } from '../config/config.ts';
import { ApiError } from './problem.ts';

type Access = 'read' | 'write';

/** The client of a request. */
export interface Caller {
  /** For the log. */
  readonly name: string;
  readonly access: Access;
}

const local: Caller = { name: 'local', access: 'write' };

/** Decides who may do what. */
export class AccessControl {
  private readonly tokens: readonly { readonly name: string; readonly hash: Buffer; readonly access: Access }[];
  private readonly hosts: ReadonlySet<string>;

  /** Whether the API is on a socket, which the file system protects. */
  private readonly isLocal: boolean;

  constructor({ bind, hosts, tokens }: Pick<Config['admin'], 'bind' | 'hosts' | 'tokens'>) {
    this.isLocal = parseAdminBind(bind)?.kind === 'unix';
    this.tokens = tokens.map(({ access, hash, name }) => ({ access, name, hash: Buffer.from(hash.slice(7), 'hex') }));
    this.hosts = new Set(['localhost', ...hosts]);
  }

  /**
   * @param certificate the subject of the one that the client has shown and that `clientCa` has issued; null without one.
   * @param authorization the field of the request, null without one.
   * @throws ApiError 401 for a client that is not known.
   */
  callerOf(certificate: string | null, authorization: string | null): Caller {
    if (authorization === null) {
      if (this.isLocal) return local;
      if (certificate !== null) return { name: certificate, access: 'write' };
      throw new ApiError(401, 'UNAUTHORIZED', 'the request has no token; give one as "Authorization: Bearer TOKEN"');
    }
    const [, token] = /^Bearer +([\x21-\x7e]+) *$/i.exec(authorization) ?? [];
    if (token === undefined) {
      throw new ApiError(401, 'UNAUTHORIZED', 'the field Authorization is not "Bearer TOKEN"');
    }
    const hash = createHash('sha256').update(token).digest();
    // All are compared, so that the time says nothing about which one it is.
    const [found] = this.tokens.filter((known) => timingSafeEqual(known.hash, hash));
    if (found === undefined) throw new ApiError(401, 'UNAUTHORIZED', 'this token is not among admin.tokens');
    return { name: found.name, access: found.access };
  }

  /**
   * A page of somebody else can make a browser send requests to a name that leads here (DNS rebinding), also to a socket
   * that a port is forwarded to.
   * @param host the field of the request.
   * @throws ApiError 421.
   */
  checkHost(host: string): void {
    const name = host
      .toLowerCase()
      .replace(/:\d+$/, '')
      .replace(/^\[|\]$/g, '');
    if (isIP(name) !== 0 || this.hosts.has(name)) return;
    throw new ApiError(
      421,
      'HOST_UNKNOWN',
      `the API does not answer for ${JSON.stringify(name)}; add it to admin.hosts`,
    );
  }
}

/** @throws ApiError 403. */
export function requireAccess({ access, name }: Caller, needed: Access): void {
  if (needed === 'read' || access === 'write') return;
  throw new ApiError(403, 'FORBIDDEN', `${name} may read only; this needs a token with "access": "write"`);
}
