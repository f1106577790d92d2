import type { SecureContext } from 'node:tls';
import type { AwaitedCertificates } from './awaited-certificates.ts';
import type { ServerCertificates } from './server-certificates.ts';
import { serverContext } from './server-context.ts';
import { type TicketKeys, useTicketKeys } from './ticket-keys.ts';
import type { TlsBindState } from './tls-state.ts';

/** A handshake under way. */
export interface ServerHandshake {
  /** Of the client. */
  readonly address: string;
  /** The protocol that was agreed on; empty if there is none, and as long as it is not known: before TLS 1.3. */
  readonly alpnProtocol: () => string;
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
  private hasCertificate: boolean;

  /** @param awaited null, as `challenges`, if no certificates are ordered. @throws HipacheError CERTIFICATE_INVALID. */
  constructor(
    state: TlsBindState,
    ticketKeys: TicketKeys,
    certificates: ServerCertificates,
    awaited: AwaitedCertificates | null = null,
    challenges: ChallengeContexts | null = null,
  ) {
    this.certificates = certificates;
    this.awaited = awaited;
    this.challenges = challenges;
    this.context = serverContext(state.material, state.settings, ticketKeys);
    this.hasCertificate = state.material !== null;
  }

  /** Sets the certificate for new handshakes. @throws HipacheError CERTIFICATE_INVALID; nothing has changed then. */
  update(state: TlsBindState, ticketKeys: TicketKeys): void {
    this.context = serverContext(state.material, state.settings, ticketKeys);
    this.hasCertificate = state.material !== null;
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
      if (context !== null || this.hasCertificate) callBack(null, context);
      else callBack(new Error('no certificate for this name'));
    };
    try {
      if (this.challenges !== null && handshake.alpnProtocol() === challengeProtocol) {
        this.challenges.find(serverName, handshake.address).then(response).catch(callBack);
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

  private async find(serverName: string, address: string): Promise<SecureContext | null> {
    return (await this.certificates.load(serverName)) ?? (await this.awaited?.find(serverName, address)) ?? null;
  }
}
