import { statSync } from 'node:fs';
import { ErrorCollector } from '../base/error-collector.ts';
import { HipacheError } from '../base/errors.ts';
import { readRegularFileSync } from '../base/regular-file.ts';
import { type TlsBindConfig, type TlsSettings, tlsSettings } from './bind-options.ts';
import { checkCertificate, isEncrypted } from './certificate.ts';
import type { ContextMaterial } from './server-context.ts';
import { newTicketKey, type TicketKeys } from './ticket-keys.ts';

/** Largest file of a certificate, a key or authorities, in bytes. */
const fileBytesMax = 16 * 1024 * 1024;

/** Settings and certificate of one TLS address. */
export interface TlsBindState {
  readonly settings: TlsSettings;
  /** The certificate for names without one of their own; null if the configuration has none. */
  readonly material: ContextMaterial | null;
}

/**
 * The TLS state that all workers share: plain data, because it is sent between processes. It contains private keys, so
 * it must never be shown or logged.
 */
export interface TlsState {
  readonly binds: readonly TlsBindState[];
  /** Shared so that any worker can open the tickets of another. */
  readonly ticketKeys: TicketKeys;
}

/** How often the files are checked, in ms. */
const lookMs = 5000;
/** How long ticket keys are used, in ms: as short as in many fleets, but long compared to a visit. */
const ticketKeysMs = 12 * 3600 * 1000;

/**
 * Keeps the `TlsState` of an instance: reads the files at the start and whenever they change, and rotates ticket keys.
 */
export class TlsKeeper {
  state: TlsState;
  private readonly binds: readonly TlsBindConfig[];
  /** Epoch ms; a reload keeps the keys and their age. */
  private ticketKeysSinceMs: number;
  private readonly settings: readonly TlsSettings[];
  private readonly onProblem: (message: string) => void;
  private stamps: readonly string[];
  private timer: NodeJS.Timeout | null = null;
  private change: (state: TlsState) => void = (state) => {
    this.state = state;
  };

  /**
   * @param onProblem reports files that are unusable after the start; the previous certificates stay in use.
   * @param former the keeper of the previous configuration. Its ticket keys are kept, and so are its certificates if
   * this process may no longer read their files.
   * @throws HipacheError CERTIFICATE_INVALID, with the configuration key and the file; AggregateError of several.
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
    const sinceMs = former?.ticketKeysSinceMs ?? Number.POSITIVE_INFINITY;
    // Those of the fleet come again, unless they are shared no more.
    this.ticketKeysSinceMs = Number.isFinite(sinceMs) ? sinceMs : Date.now();
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
    this.state = { binds: states, ticketKeys: former?.state.ticketKeys ?? [newTicketKey()] };
    for (const [index, bind] of binds.entries()) {
      const expiry = states[index]?.material == null ? null : expiryOf(states[index].material);
      if (expiry !== null && expiry <= Date.now()) {
        warnings.push(
          `https.bind[${index}]: the certificate ${bind.cert} has expired on ${new Date(expiry).toISOString()}; ` +
            'it is still served, but clients reject it: renew it',
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
    this.change = change;
    this.timer = setInterval(() => {
      const state = this.readChanged();
      if (state !== null) change(state);
      if (Date.now() - this.ticketKeysSinceMs < ticketKeysMs) return;
      this.ticketKeysSinceMs = Date.now();
      change({ ...this.state, ticketKeys: [newTicketKey(), ...this.state.ticketKeys.slice(0, 1)] });
    }, lookMs);
    this.timer.unref();
  }

  /** Takes the ticket keys of the fleet, which somebody else rotates. */
  takeTicketKeys(ticketKeys: TicketKeys): void {
    this.ticketKeysSinceMs = Number.POSITIVE_INFINITY;
    this.change({ ...this.state, ticketKeys });
  }

  /** The certificate and key read earlier from the files that `bind` names; null if there are none. */
  materialOf(bind: TlsBindConfig): ContextMaterial | null {
    const files = filesOf(bind);
    const index = this.binds.findIndex((one) => filesOf(one) === files && one.passphrase === bind.passphrase);
    return this.state.binds[index]?.material ?? null;
  }

  close(): void {
    if (this.timer !== null) clearInterval(this.timer);
  }

  /** The state with the current content of the files; null if nothing changed, or nothing usable did. */
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
        this.onProblem(`${(error as Error).message}; still serving the certificate read before`);
        return state;
      }
    });
    return isChanged ? { ...this.state, binds } : null;
  }
}

/** Like `readBind`, but if root's files can no longer be read, keeps the previous certificate, with a warning. */
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
    warnings.push(`${(error as Error).message}; still serving what was read at the start, until a restart`);
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
    return readRegularFileSync(path, fileBytesMax).latin1Slice();
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

/** Changes whenever one of the bind's files does, even behind a link. */
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
