import type { TlsListener } from '../../tls/tls-listener.ts';

/** How the connections to one listen address behave. */
export interface ListenerTraits {
  /** Null for plain connections. */
  readonly tls: TlsListener | null;
  /** Whether every connection begins with a PROXY protocol header; with TLS, it precedes the handshake. */
  readonly proxyProtocol: boolean;
  /** Whether a client that has only closed its sending side still gets its response. */
  readonly halfClose: boolean;
}
