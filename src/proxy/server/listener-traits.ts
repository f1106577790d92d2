import { alpnWireForm } from '../../sockets/tls-sockets.ts';
import type { TlsListener } from '../../tls/tls-listener.ts';

/** How the connections to one listen address behave. */
export interface ListenerTraits {
  /** Null for plain connections. */
  readonly tls: TlsListener | null;
  /** The protocols for ALPN, in the form of its extension; empty for plain connections. */
  readonly alpn: Uint8Array;
  /** Whether a client without TLS may speak HTTP/2. */
  readonly h2c: boolean;
  /** Whether every connection begins with a PROXY protocol header; with TLS, it precedes the handshake. */
  readonly proxyProtocol: boolean;
  /** Whether a client that has only closed its sending side still gets its response. */
  readonly halfClose: boolean;
}

interface TraitsOptions {
  readonly tls?: TlsListener;
  readonly proxyProtocol: boolean;
  readonly halfClose?: boolean;
  readonly protocols?: readonly string[];
}

export function listenerTraits(options: TraitsOptions): ListenerTraits {
  const { halfClose = false, protocols = ['http/1.1'], proxyProtocol, tls = null } = options;
  // Clients that name HTTP/1.0 are served as those of HTTP/1.1.
  const all = protocols.flatMap((name) => (name === 'http/1.1' ? [name, 'http/1.0'] : [name]));
  return {
    tls,
    alpn: tls === null ? new Uint8Array() : alpnWireForm([...all, ...tls.extraProtocols]),
    h2c: tls === null && protocols.includes('h2'),
    proxyProtocol,
    halfClose,
  };
}
