import type { SecureContext } from 'node:tls';
import type { AwaitedCertificates } from './awaited-certificates.ts';
import { type AskedAuthorities, ClientContexts } from './client-contexts.ts';
import type { ServerCertificates } from './server-certificates.ts';
import { type ContextMaterial, materialOf, serverContext } from './server-context.ts';
import { type TicketKeys, useTicketKeys } from './ticket-keys.ts';
import type { TlsBindState } from './tls-state.ts';

/** A handshake under way. */
export interface ServerHandshake {
  /** Of the client. */
  readonly address: string;
  /** The protocol that was agreed on; empty if there is none, and as long as it is not known: before TLS 1.3. */
  readonly alpnProtocol: () => string;
  /** Asks the client for a certificate. One that it has not, or that is not valid, does not end the handshake. */
  readonly askCertificate: (authorities: AskedAuthorities) => void;
}

/** Null if the clients of the name are not asked for a certificate. */
type FoundAuthorities = AskedAuthorities | null;

export interface TlsListenerOptions {
  readonly ticketKeys: TicketKeys;
  readonly certificates: ServerCertificates;
  /** Handshakes that wait for an order; null if no certificates are ordered. Default null. */
  readonly awaited?: AwaitedCertificates | null;
  /** Null if no certificates are ordered. Default null. */
  readonly challenges?: ChallengeContexts | null;
  /** Whose certificates the clients of a name are asked for. A promise does not reject. Default: none. */
  readonly clientAuthorities?: (serverName: string) => FoundAuthorities | Promise<FoundAuthorities>;
}

/** Contexts for certificate authorities that look for a proof (RFC 8737). */
export interface ChallengeContexts {
  /** Null if no proof is to be shown for the name. Never rejects. */
  find(serverName: string, address: string): Promise<SecureContext | null>;
}

/** RFC 8737 section 6.2. */
export const challengeProtocol = 'acme-tls/1';

/** What the sockets of one address need for TLS: the address's own certificate, and those chosen by SNI. */
export class TlsListener {
  /** The context with which a handshake begins; it has no certificate if the configuration has none. */
  context: SecureContext;
  private readonly certificates: ServerCertificates;
  private readonly awaited: AwaitedCertificates | null;
  private readonly challenges: ChallengeContexts | null;
  private readonly clientAuthorities: TlsListenerOptions['clientAuthorities'];
  private readonly clientContexts = new ClientContexts();
  private material: ContextMaterial | null;

  /** @throws HipacheError CERTIFICATE_INVALID. */
  constructor({ material, settings }: TlsBindState, options: TlsListenerOptions) {
    const { awaited = null, certificates, challenges = null, clientAuthorities, ticketKeys } = options;
    this.certificates = certificates;
    this.awaited = awaited;
    this.challenges = challenges;
    this.clientAuthorities = clientAuthorities;
    this.context = serverContext(material, settings, ticketKeys);
    this.material = material;
  }

  /** Sets the certificate for new handshakes. @throws HipacheError CERTIFICATE_INVALID; nothing has changed then. */
  update(state: TlsBindState, ticketKeys: TicketKeys): void {
    this.context = serverContext(state.material, state.settings, ticketKeys);
    this.material = state.material;
  }

  setTicketKeys(keys: TicketKeys): void {
    useTicketKeys(this.context, keys);
  }

  /** Protocols that are agreed on (RFC 7301) besides those of requests. */
  get extraProtocols(): readonly string[] {
    return this.challenges === null ? [] : [challengeProtocol];
  }

  /**
   * For Node's `SNICallback`: calls back with the context for the name, or with null for the address's own. Never throws,
   * because anybody can choose its input (CVE-2026-21637).
   */
  chooseContext(
    serverName: string,
    handshake: ServerHandshake,
    callBack: (error: Error | null, context?: SecureContext | null) => void,
  ): void {
    const response = (context: SecureContext | null): void => {
      this.requireCertificate(context);
      const authorities = this.clientAuthorities?.(serverName) ?? null;
      if (!(authorities instanceof Promise)) callBack(null, this.asking(authorities, context, handshake));
      else
        authorities
          .then(async (found) => [found, await this.again(serverName, context)] as const)
          .then(([found, fresh]) => callBack(null, this.asking(found, fresh, handshake)))
          .catch(callBack);
    };
    try {
      if (this.challenges !== null && handshake.alpnProtocol() === challengeProtocol) {
        // An authority that looks for a proof has no certificate of its own to show.
        const proof = (context: SecureContext | null): void => {
          this.requireCertificate(context);
          callBack(null, context);
        };
        this.challenges.find(serverName, handshake.address).then(proof).catch(callBack);
        return;
      }
      const known = this.certificates.cached(serverName);
      if (known === undefined) this.find(serverName, handshake.address).then(response).catch(callBack);
      else if (known !== null || this.awaited === null) response(known);
      else this.awaited.find(serverName, handshake.address).then(response).catch(callBack);
    } catch (error) {
      callBack(error as Error);
    }
  }

  /** @throws if neither the name nor the address has a certificate. */
  private requireCertificate(context: SecureContext | null): void {
    if (context === null && this.material === null) throw new Error('no certificate for this name');
  }

  /** Asks the client for a certificate. @returns the context that the handshake needs for it. */
  private asking(
    authorities: FoundAuthorities,
    context: SecureContext | null,
    handshake: ServerHandshake,
  ): SecureContext | null {
    const material = context === null ? this.material : materialOf(context);
    if (authorities === null || material == null) return context;
    const asking = this.clientContexts.get(material, authorities);
    handshake.askCertificate(authorities);
    return asking;
  }

  /** The context of a name once more: one that was dropped meanwhile may be closed. */
  private async again(serverName: string, context: SecureContext | null): Promise<SecureContext | null> {
    if (context === null) return null;
    return this.certificates.cached(serverName) ?? (await this.certificates.load(serverName)) ?? context;
  }

  private async find(serverName: string, address: string): Promise<SecureContext | null> {
    return (await this.certificates.load(serverName)) ?? (await this.awaited?.find(serverName, address)) ?? null;
  }
}
