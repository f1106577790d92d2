import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AcmeTransport, acmeTransport } from '../../src/acme/transport.ts';
import { Authority } from './authority.ts';
import { ServerProcess } from './server-process.ts';
import { startOnFreePorts } from './start-on-free-ports.ts';

export interface PebbleOptions {
  /** Share of the nonces that it refuses although they are good, in percent. Default 5, as Pebble's own. */
  readonly badNonces?: number;
  /** Keys of external accounts by their ids; an account then needs one. */
  readonly externalAccounts?: Readonly<Record<string, string>>;
  /** Environment variables of Pebble. */
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * Let's Encrypt's authority for tests, with a DNS server of its own, where every name is 127.0.0.1. It asks port `httpPort`
 * for HTTP-01, `tlsPort` for TLS-ALPN-01.
 */
export class Pebble {
  readonly directoryUrl: string;
  readonly httpPort: number;
  readonly tlsPort: number;
  private readonly options: PebbleOptions;
  private readonly folder = mkdtempSync(join(tmpdir(), 'hipache-pebble-'));
  /** Of the certificate of its own port. */
  private readonly authority = new Authority('Pebble');
  private readonly ports: readonly number[];
  private running: ServerProcess[] = [];

  private constructor(ports: readonly number[], options: PebbleOptions) {
    const [acme = 0, , , , http = 0, tls = 0] = ports;
    this.ports = ports;
    this.options = options;
    this.directoryUrl = `https://127.0.0.1:${acme}/dir`;
    [this.httpPort, this.tlsPort] = [http, tls];
  }

  static start(options: PebbleOptions = {}): Promise<Pebble> {
    return startOnFreePorts(6, (ports) => new Pebble(ports, options));
  }

  /** PEM file of what signs the certificate of its own port. */
  get caFile(): string {
    return this.authority.certificateFile;
  }

  get transport(): AcmeTransport {
    return acmeTransport({ ca: this.authority.certificate, userAgent: 'hipache/test', timeoutMs: 20_000 });
  }

  async start(): Promise<void> {
    const [acme, management, dns, dnsManagement] = this.ports;
    const { certificateFile, keyFile } = this.authority.issue(['127.0.0.1', 'localhost']);
    const { badNonces = 5, env = {}, externalAccounts } = this.options;
    const file = join(this.folder, 'pebble.json');
    const pebble = {
      listenAddress: `127.0.0.1:${acme}`,
      managementListenAddress: `127.0.0.1:${management}`,
      certificate: certificateFile,
      privateKey: keyFile,
      httpPort: this.httpPort,
      tlsPort: this.tlsPort,
      ocspResponderURL: '',
      externalAccountBindingRequired: externalAccounts !== undefined,
      ...(externalAccounts === undefined ? {} : { externalAccountMACKeys: externalAccounts }),
    };
    writeFileSync(file, JSON.stringify({ pebble }));
    const dnsServer = ['-dns01', `127.0.0.1:${dns}`, '-management', `127.0.0.1:${dnsManagement}`];
    const off = ['-http01', '', '-https01', '', '-tlsalpn01', '', '-defaultIPv6', ''];
    this.running = [
      new ServerProcess(['pebble-challtestsrv', ...dnsServer, ...off]),
      new ServerProcess(['pebble', '-strict', '-config', file, '-dnsserver', `127.0.0.1:${dns}`], {
        env: { ...process.env, PEBBLE_VA_NOSLEEP: '1', PEBBLE_WFE_NONCEREJECT: String(badNonces), ...env },
      }),
    ];
    const [names, authority] = this.running as [ServerProcess, ServerProcess];
    await names.ready(() => this.tellDns('clear-txt', { host: 'none.example.' }).then(isOk, isNot));
    await authority.ready(() =>
      this.transport({ method: 'GET', url: this.directoryUrl }).then(({ status }) => status === 200, isNot),
    );
  }

  /** Of the section `acme`, so that Hipache asks where Pebble asks. */
  get settings(): { httpPort: number; tlsPort: number; nameServers: string[] } {
    return { httpPort: this.httpPort, tlsPort: this.tlsPort, nameServers: [`127.0.0.1:${this.ports[2]}`] };
  }

  /** The certificate of the root that Pebble has made for itself, PEM. */
  async root(index = 0): Promise<string> {
    const url = `https://127.0.0.1:${this.ports[1]}/roots/${index}`;
    return (await this.transport({ method: 'GET', url })).body;
  }

  /** Changes what its DNS server says: https://github.com/letsencrypt/challtestsrv. */
  async tellDns(command: string, change: Readonly<Record<string, unknown>>): Promise<Response> {
    const url = `http://127.0.0.1:${this.ports[3]}/${command}`;
    return await fetch(url, { method: 'POST', body: JSON.stringify(change) });
  }

  async stop(): Promise<void> {
    await Promise.all(this.running.map((one) => one.stop()));
    this.running = [];
  }

  async remove(): Promise<void> {
    await this.stop();
    this.authority.dispose();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function isOk({ ok }: Response): boolean {
  return ok;
}

function isNot(): boolean {
  return false;
}
