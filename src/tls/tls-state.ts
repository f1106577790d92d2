import { randomBytes } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { ErrorCollector } from '../base/error-collector.ts';
import { HipacheError } from '../base/errors.ts';
import { type TlsBindConfig, type TlsSettings, tlsSettings } from './bind-options.ts';
import { checkCertificate, isEncrypted } from './certificate.ts';
import type { ContextMaterial } from './server-context.ts';

/** Settings and certificate of one address with TLS. */
export interface TlsBindState {
  readonly settings: TlsSettings;
  /** The certificate for names that have none of their own; null where the configuration gives none. */
  readonly material: ContextMaterial | null;
}

/**
 * State that all workers share to speak TLS; plain data, sent from process to process. It holds private
 * keys: never to be shown or logged.
 */
export interface TlsState {
  readonly binds: readonly TlsBindState[];
  /** 48 bytes: what session tickets are sealed with (RFC 5077 section 4), so that any worker can open them. */
  readonly ticketKeys: Uint8Array;
}

/** How often the files are looked at, in ms. */
const lookMs = 5000;
/** How long ticket keys are in use, in ms: as short as many fleets have it, long against a visit. */
const ticketKeysMs = 12 * 3600 * 1000;
const ticketKeyBytes = 48;

/** Keeps the `TlsState` of an instance: reads the files at the start, again when they change, and rotates keys. */
export class TlsKeeper {
  state: TlsState;
  private readonly binds: readonly TlsBindConfig[];
  /** Epoch ms; a reload goes on with the keys and their age. */
  private ticketKeysSinceMs: number;
  private readonly settings: readonly TlsSettings[];
  private readonly onProblem: (message: string) => void;
  private stamps: readonly string[];
  private timer: NodeJS.Timeout | null = null;

  /**
   * @param onProblem reports files that cannot be used after the start; what was read before is still served.
   * @param former of the configuration before: its ticket keys go on, and what it has read from the same files where
   *   this process may not read them any more.
   * @throws HipacheError CERTIFICATE_INVALID, with the key of the configuration and the file; AggregateError of several.
   */
  constructor(
    binds: readonly TlsBindConfig[],
    warnings: string[],
    onProblem: (message: string) => void,
    former: TlsKeeper | null = null,
  ) {
    this.binds = binds;
    this.onProblem = onProblem;
    this.settings = binds.map((bind, index) => tlsSettings(bind, `https.bind[${index}]`, warnings));
    this.stamps = binds.map(stampOf);
    this.ticketKeysSinceMs = former?.ticketKeysSinceMs ?? Date.now();
    const errors = new ErrorCollector();
    const states = binds.flatMap((bind, index) => {
      try {
        return [readOrKeep(bind, this.settings[index] as TlsSettings, index, former, warnings)];
      } catch (error) {
        errors.add(error);
        return [];
      }
    });
    errors.check();
    this.state = { binds: states, ticketKeys: former?.state.ticketKeys ?? randomBytes(ticketKeyBytes) };
    for (const [index, bind] of binds.entries()) {
      const expiry = states[index]?.material == null ? null : expiryOf(states[index].material);
      if (expiry !== null && expiry <= Date.now()) {
        warnings.push(
          `https.bind[${index}]: the certificate ${bind.cert} has expired on ${new Date(expiry).toISOString()}; ` +
            'it is served, but clients refuse it: renew it',
        );
      }
    }
  }

  /** Calls `onChange` with every later state, until `close`. */
  watch(onChange: (state: TlsState) => void): void {
    const change = (state: TlsState): void => {
      this.state = state;
      onChange(state);
    };
    this.timer = setInterval(() => {
      const state = this.readChanged();
      if (state !== null) change(state);
      if (Date.now() - this.ticketKeysSinceMs < ticketKeysMs) return;
      this.ticketKeysSinceMs = Date.now();
      change({ ...this.state, ticketKeys: randomBytes(ticketKeyBytes) });
    }, lookMs);
    this.timer.unref();
  }

  /** The certificate and key that were read from the same files as `bind` names; null if none were. */
  materialOf(bind: TlsBindConfig): ContextMaterial | null {
    const files = filesOf(bind);
    const index = this.binds.findIndex((one) => filesOf(one) === files && one.passphrase === bind.passphrase);
    return this.state.binds[index]?.material ?? null;
  }

  close(): void {
    if (this.timer !== null) clearInterval(this.timer);
  }

  /** The state with what the files have now; null where nothing changed, or nothing of it can be used. */
  readChanged(): TlsState | null {
    const stamps = this.binds.map(stampOf);
    if (stamps.every((stamp, index) => stamp === this.stamps[index])) return null;
    const before = this.stamps;
    this.stamps = stamps;
    let isChanged = false;
    const binds = this.state.binds.map((state, index) => {
      if (stamps[index] === before[index]) return state;
      try {
        const read = readBind(this.binds[index] as TlsBindConfig, state.settings, index);
        isChanged = true;
        return read;
      } catch (error) {
        this.onProblem(`${(error as Error).message}; the certificate read before is served on`);
        return state;
      }
    });
    return isChanged ? { ...this.state, binds } : null;
  }
}

/** As `readBind`; what cannot be read since root was given up is taken from before, with a warning. */
function readOrKeep(
  bind: TlsBindConfig,
  settings: TlsSettings,
  index: number,
  former: TlsKeeper | null,
  warnings: string[],
): TlsBindState {
  const material = former?.materialOf(bind) ?? null;
  try {
    return readBind(bind, settings, index);
  } catch (error) {
    const { code } = ((error as Error).cause ?? {}) as NodeJS.ErrnoException;
    if (material === null || (code !== 'EACCES' && code !== 'EPERM')) throw error;
    warnings.push(`${(error as Error).message}; what was read at the start is served on, until a restart`);
    return { settings, material };
  }
}

function filesOf({ key, cert, ca }: TlsBindConfig): string {
  return JSON.stringify([key, cert, ca]);
}

function readBind(bind: TlsBindConfig, settings: TlsSettings, index: number): TlsBindState {
  const where = `https.bind[${index}]`;
  if (bind.key === null || bind.cert === null) return { settings, material: null };
  const certificate = readPem(bind.cert, `${where}.cert`);
  const key = readPem(bind.key, `${where}.key`);
  const ca = bind.ca.map((path) => readPem(path, `${where}.ca`));
  const passphrase = bind.passphrase ?? undefined;
  try {
    checkCertificate(certificate, key, passphrase);
  } catch (error) {
    if (!(error instanceof HipacheError)) throw error;
    const hint = passphrase === undefined && isEncrypted(key) ? ', or set "passphrase" beside "key"' : '';
    throw new HipacheError('CERTIFICATE_INVALID', `${where} (${bind.cert}, ${bind.key}): ${error.message}${hint}`, {
      cause: error,
    });
  }
  return { settings, material: { certificate, key, passphrase, ca } };
}

function expiryOf({ certificate, key, passphrase }: ContextMaterial): number {
  return checkCertificate(certificate, key, passphrase).notAfterMs;
}

function readPem(path: string, where: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch (cause) {
    throw new HipacheError('CERTIFICATE_INVALID', `${where}: ${path} cannot be read: ${fileProblem(cause)}`, { cause });
  }
}

function fileProblem(error: unknown): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOENT':
      return 'there is no such file';
    case 'EACCES':
      return 'the user that the proxy runs as may not read it';
    default:
      return (error as Error).message;
  }
}

/** Changes when a file of the bind does, through links too. */
function stampOf(bind: TlsBindConfig): string {
  return [bind.key, bind.cert, ...bind.ca]
    .map((path) => {
      if (path === null) return '';
      try {
        const { ino, mtimeMs, size } = statSync(path);
        return `${ino} ${size} ${mtimeMs}`;
      } catch (error) {
        return (error as NodeJS.ErrnoException).code ?? 'unknown';
      }
    })
    .join(';');
}
