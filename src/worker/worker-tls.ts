import { systemClock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { setRealTimer } from '../base/timer.ts';
import type { InheritedSocket, WorkerStart } from '../processes/messages.ts';
import type { ListenOptions } from '../proxy/data-plane.ts';
import type { SharedRecords } from '../route-cache/shared-records.ts';
import type { Store } from '../stores/contract.ts';
import { AwaitedCertificates, type AwaitedCertificatesOptions } from '../tls/awaited-certificates.ts';
import { CertificateDirectory } from '../tls/certificate-directory.ts';
import { ServerCertificates } from '../tls/server-certificates.ts';
import { StoreCertificates } from '../tls/store-certificates.ts';
import { type ChallengeContexts, TlsListener, type TlsListenerOptions } from '../tls/tls-listener.ts';
import type { TlsState } from '../tls/tls-state.ts';

/** How long a handshake waits for the first certificate of its host, in ms; its own deadline may end it before. */
const handshakeWaitMs = 20_000;

/** The part of the worker that orders of certificates need. */
interface OrderingParts extends Pick<AwaitedCertificatesOptions, 'ask' | 'isWanted'> {
  readonly challenges: ChallengeContexts | null;
}

type ClientAuthoritiesOf = NonNullable<TlsListenerOptions['clientAuthorities']>;

/** A worker's TLS: a listener for each address of the section `https`, and the certificates for all of them. */
export class WorkerTls {
  readonly certificates: ServerCertificates;
  /** Handshakes that wait for an order; null if nothing is ordered. */
  readonly awaited: AwaitedCertificates | null;
  private readonly listeners: readonly TlsListener[];
  private readonly log: Log;
  /** Number of addresses without TLS, which precede the others. */
  private readonly plainAddresses: number;

  /** @throws HipacheError CERTIFICATE_INVALID. */
  constructor(
    { config, tls }: WorkerStart,
    store: Pick<Store, 'certificates'>,
    shared: SharedRecords,
    log: Log,
    { challenges, ...orders }: OrderingParts,
    clientAuthorities: ClientAuthoritiesOf,
  ) {
    const { https, limits } = config;
    const state = tls as TlsState;
    this.log = log;
    this.plainAddresses = config.http.bind.length;
    this.certificates = new ServerCertificates({
      sources: [
        ...(https.certificates === null ? [] : [new CertificateDirectory(https.certificates)]),
        ...(https.storeCertificates ? [new StoreCertificates(store.certificates, shared, config.acme.passphrase)] : []),
      ],
      bytesMax: limits.certificatesBytesMax,
      ...(limits.certificatesMax === undefined ? {} : { entriesMax: limits.certificatesMax }),
      clock: systemClock,
      onProblem: (message) => log.warn(message),
      ...(config.acme.directory.length === 0 ? {} : { onEnding: (pattern) => orders.ask(pattern, '') }),
    });
    this.awaited =
      config.acme.directory.length === 0
        ? null
        : new AwaitedCertificates({
            ...orders,
            load: (name) => this.certificates.load(name),
            setTimer: setRealTimer,
            waitMs: handshakeWaitMs,
          });
    const { awaited, certificates } = this;
    const { ticketKeys } = state;
    const parts = { awaited, certificates, challenges, clientAuthorities, ticketKeys };
    this.listeners = state.binds.map((bind) => new TlsListener(bind, parts));
  }

  changed(collection: string, patterns: readonly string[]): void {
    this.awaited?.changed(collection, patterns);
  }

  withListener(socket: InheritedSocket): ListenOptions {
    const tls = this.listeners[socket.addressIndex - this.plainAddresses];
    return socket.secure && tls !== undefined ? { ...socket, tls } : socket;
  }

  /** Files have been renewed, or ticket keys rotated. */
  change(state: TlsState): void {
    for (const [index, listener] of this.listeners.entries()) {
      const bind = state.binds[index];
      listener.setTicketKeys(state.ticketKeys);
      if (bind === undefined) continue;
      try {
        listener.update(bind, state.ticketKeys);
      } catch (error) {
        this.log.error(`https.bind[${index}]: ${(error as Error).message}; still serving the certificate read before`);
      }
    }
  }
}
