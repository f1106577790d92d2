import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { parseDocument } from 'yaml';
import type { CertificatePair, Store } from '../contract.ts';
import type { SectionName } from './content.ts';
import { type FileStoreOptions, openFileStore } from './file-store.ts';
import { parseFileUrl } from './file-url.ts';

/** A directory with a routes file, and the stores that are open on it. */
export class FilePlaces {
  readonly directory = mkdtempSync(join(tmpdir(), 'hipache-file-'));
  readonly path: string;
  readonly warnings: string[] = [];
  private readonly stores: Store[] = [];

  constructor(name = 'routes.yaml', text?: string) {
    this.path = join(this.directory, name);
    if (text !== undefined) this.write(text);
  }

  get text(): string {
    return readFileSync(this.path, 'utf8');
  }

  /** Writes the file in place. */
  write(text: string): void {
    writeFileSync(this.path, text);
  }

  async open(options: FileStoreOptions = {}): Promise<Store> {
    const environment = { STATE_DIRECTORY: join(this.directory, 'state') };
    const store = await openFileStore(parseFileUrl(`file:${this.path}`, { environment }), {
      log: {
        info: (message) => this.warnings.push(message),
        warn: (message, fields) => {
          const { error } = fields ?? {};
          this.warnings.push(error instanceof Error ? `${message}: ${error.message}` : message);
        },
      },
      ...options,
    });
    this.stores.push(store);
    return store;
  }

  /** Changes one record by hand; null removes it. */
  put(section: SectionName, pattern: string, value: unknown): void {
    const isJson = extname(this.path) === '.json';
    const document = parseDocument(this.text, { stringKeys: true, uniqueKeys: false });
    document.setIn([section, pattern], document.createNode(value));
    this.write(isJson ? JSON.stringify(document.toJS()) : document.toString({ lineWidth: 0 }));
  }

  /** A certificate in files of its own. */
  putCertificate(pattern: string, { certificate, key }: CertificatePair): void {
    const name = encodeURIComponent(pattern);
    mkdirSync(join(this.directory, 'certs'), { recursive: true });
    writeFileSync(join(this.directory, 'certs', `${name}.pem`), certificate);
    writeFileSync(join(this.directory, 'certs', `${name}.key`), key);
    this.put('certificates', pattern, { certificate: `certs/${name}.pem`, key: `certs/${name}.key` });
  }

  async remove(): Promise<void> {
    await Promise.all(this.stores.map((store) => store.close()));
    rmSync(this.directory, { recursive: true, force: true });
  }
}
