import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Issued {
  readonly certificate: string;
  readonly key: string;
  readonly certificateFile: string;
  readonly keyFile: string;
}

export interface IssueOptions {
  /** Validity in days from now; negative for an expired certificate. Default 30. */
  readonly days?: number;
  /** `ec` (P-256), `rsa` (2048), or `weak` (RSA, 1024). Default `ec`. */
  readonly keyType?: 'ec' | 'rsa' | 'weak';
}

/** A certificate authority for tests that runs OpenSSL's command line. `dispose` removes its files. */
export class Authority {
  readonly folder = mkdtempSync(join(tmpdir(), 'hipache-ca-'));
  readonly certificateFile = join(this.folder, 'ca.pem');
  private readonly keyFile = join(this.folder, 'ca.key');
  private issued = 0;

  constructor(name = 'Test authority') {
    this.makeKey(this.keyFile, 'ec');
    this.openssl(
      'req',
      '-new',
      '-x509',
      '-key',
      this.keyFile,
      '-out',
      this.certificateFile,
      '-days',
      '30',
      '-subj',
      `/CN=${name}`,
    );
  }

  get certificate(): string {
    return readFileSync(this.certificateFile, 'latin1');
  }

  /** Issues a certificate for these DNS names and IP addresses. */
  issue(names: readonly string[], { days = 30, keyType = 'ec' }: IssueOptions = {}): Issued {
    const base = join(this.folder, `issued-${this.issued++}`);
    const [keyFile, certificateFile, request, extensions] = ['key', 'pem', 'csr', 'cnf'].map(
      (end) => `${base}.${end}`,
    ) as [string, string, string, string];
    this.makeKey(keyFile, keyType);
    this.openssl('req', '-new', '-key', keyFile, '-out', request, '-subj', `/CN=${names[0]}`);
    const list = names.map((name) => `${/^[0-9.]+$|:/.test(name) ? 'IP' : 'DNS'}:${name}`).join(',');
    writeFileSync(extensions, `subjectAltName=${list}\n`);
    if (days < 0) this.issueExpired(request, certificateFile, extensions, days);
    else {
      const signer = ['-CA', this.certificateFile, '-CAkey', this.keyFile, '-CAcreateserial'];
      this.openssl(
        'x509',
        '-req',
        '-in',
        request,
        '-out',
        certificateFile,
        '-days',
        String(days),
        '-extfile',
        extensions,
        ...signer,
      );
    }
    return {
      certificate: readFileSync(certificateFile, 'latin1'),
      key: readFileSync(keyFile, 'latin1'),
      certificateFile,
      keyFile,
    };
  }

  /** The key in a separate, encrypted file. */
  encrypt(issued: Issued, passphrase: string): string {
    const file = `${issued.keyFile}.encrypted`;
    this.openssl('pkcs8', '-topk8', '-in', issued.keyFile, '-out', file, '-passout', `pass:${passphrase}`);
    return file;
  }

  dispose(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** In older versions, only `openssl ca` can set the dates of a certificate. */
  private issueExpired(request: string, certificateFile: string, extensions: string, days: number): void {
    const config = join(this.folder, 'ca.cnf');
    writeFileSync(
      config,
      `[ca]\ndefault_ca=own\n[own]\ndatabase=${this.folder}/index\nserial=${this.folder}/serial\nnew_certs_dir=${this.folder}\n` +
        `default_md=sha256\npolicy=any\nunique_subject=no\n[any]\ncommonName=supplied\n`,
    );
    writeFileSync(join(this.folder, 'index'), '');
    writeFileSync(join(this.folder, 'serial'), '1000\n');
    const signer = ['-cert', this.certificateFile, '-keyfile', this.keyFile];
    const dates = ['-startdate', utc(days - 1), '-enddate', utc(days)];
    this.openssl(
      'ca',
      '-batch',
      '-config',
      config,
      '-in',
      request,
      '-out',
      certificateFile,
      '-extfile',
      extensions,
      '-notext',
      ...signer,
      ...dates,
    );
  }

  private makeKey(file: string, type: NonNullable<IssueOptions['keyType']>): void {
    const algorithm =
      type === 'ec'
        ? ['EC', '-pkeyopt', 'ec_paramgen_curve:P-256']
        : ['RSA', '-pkeyopt', `rsa_keygen_bits:${type === 'rsa' ? 2048 : 1024}`];
    this.openssl('genpkey', '-out', file, '-algorithm', ...algorithm);
  }

  private openssl(...args: readonly string[]): void {
    execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  }
}

/** The day `days` from now in OpenSSL's notation. */
function utc(days: number): string {
  return `${new Date(Date.now() + days * 86_400_000).toISOString().replace(/[-T:]/g, '').slice(0, 14)}Z`;
}
