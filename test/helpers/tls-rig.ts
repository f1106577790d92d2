import type { TestContext } from 'node:test';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { systemClock } from '../../src/base/clock.ts';
import { CertificateDirectory } from '../../src/tls/certificate-directory.ts';
import { ServerCertificates } from '../../src/tls/server-certificates.ts';
import { type CertificateRecords, StoreCertificates } from '../../src/tls/store-certificates.ts';
import { TlsListener } from '../../src/tls/tls-listener.ts';
import type { Authority, Issued } from './authority.ts';
import { get, Rig, type RigOptions, response } from './rig.ts';
import type { TestSettings } from './test-proxy.ts';
import { until } from './until.ts';

/** The ticket keys of every rig, shared like those of workers of one instance. */
export const ticketKeys = [Buffer.alloc(48, 7)];

export interface TlsRigOptions extends RigOptions {
  readonly store?: CertificateRecords;
  readonly directory?: string;
  /** Whether the address has its own certificate. Default true. */
  readonly hasOwn?: boolean;
  readonly entriesMax?: number;
  readonly settings?: Partial<TestSettings>;
  readonly authority: Authority;
  /** The address's own certificate. */
  readonly own: Issued;
}

/** A proxy with the host `a.test` on a raw backend, which listens with TLS. */
export class TlsRig {
  readonly rig: Rig;
  readonly port: number;
  readonly listener: TlsListener;
  readonly certificates: ServerCertificates;
  readonly problems: string[];
  readonly sockets: TLSSocket[] = [];
  private readonly authority: Authority;

  private constructor(
    rig: Rig,
    port: number,
    listener: TlsListener,
    certificates: ServerCertificates,
    problems: string[],
    authority: Authority,
  ) {
    this.rig = rig;
    this.port = port;
    this.listener = listener;
    this.certificates = certificates;
    this.problems = problems;
    this.authority = authority;
  }

  static async start(t: TestContext, options: TlsRigOptions): Promise<TlsRig> {
    const rig = await Rig.start(t, { ...options, proxyProtocol: false });
    const problems: string[] = [];
    const certificates = new ServerCertificates({
      sources: [
        ...(options.directory === undefined ? [] : [new CertificateDirectory(options.directory)]),
        ...(options.store === undefined ? [] : [new StoreCertificates(options.store)]),
      ],
      bytesMax: 16 * 1024 * 1024,
      entriesMax: options.entriesMax ?? 100,
      clock: systemClock,
      onProblem: (message) => problems.push(message),
    });
    const material = options.hasOwn === false ? null : options.own;
    const listener = new TlsListener({ settings: {}, material }, { ticketKeys, certificates });
    const port = await rig.proxy.listenTls(listener, options.proxyProtocol ?? false);
    const tlsRig = new TlsRig(rig, port, listener, certificates, problems, options.authority);
    t.after(() => {
      for (const socket of tlsRig.sockets) socket.destroy();
    });
    return tlsRig;
  }

  async connect(options: ConnectionOptions = {}): Promise<TLSSocket> {
    const socket = connect({
      port: this.port,
      host: '127.0.0.1',
      ca: this.authority.certificate,
      servername: 'a.test',
      ...options,
    });
    this.sockets.push(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once('secureConnect', resolve);
      socket.once('error', reject);
    });
    socket.on('error', () => {});
    return socket;
  }

  /** The serial number of the certificate for a name. */
  async serial(servername: string): Promise<string> {
    const socket = await this.connect({ servername, rejectUnauthorized: false });
    const { serialNumber } = socket.getPeerCertificate();
    socket.destroy();
    return serialNumber;
  }

  /** Sends a request and serves it. @returns what arrived. */
  async exchange(socket: TLSSocket, index = 0): Promise<string> {
    let received = '';
    socket.on('data', (bytes: Buffer) => {
      received += bytes.toString('latin1');
    });
    socket.write(get('/path'));
    await until('the request', () => this.rig.backend.peers[index]?.received.endsWith('\r\n\r\n') === true);
    this.rig.backend.peers[index]?.send(response('secret'));
    await until('the response', () => received.endsWith('secret'));
    return received;
  }
}
