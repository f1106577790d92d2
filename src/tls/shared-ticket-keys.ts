import { openText, sealText } from '../base/sealed-text.ts';
import { isTicketKey, newTicketKey, type TicketKeys } from './ticket-keys.ts';

/** The part of a store that is used here. */
interface TicketNotes {
  read(name: string): Promise<string | null>;
  write(name: string, text: string, condition: { readonly expected: string | null }): Promise<boolean>;
}

export interface SharedTicketKeysOptions {
  readonly notes: TicketNotes;
  /** Encrypts the keys in the store; null: they are in clear. */
  readonly passphrase: string | null;
  /** Epoch ms. */
  readonly now: () => number;
  /** Gets the keys at first, and whenever they change. */
  readonly onKeys: (keys: TicketKeys) => void;
}

interface DatedKey {
  readonly key: Uint8Array;
  /** Epoch ms from which on it seals. */
  readonly fromMs: number;
}

const noteName = 'tls-ticket-keys';
/** How long a key seals, in ms. It opens for as long again. */
const sealsMs = 12 * 3600_000;
/** How long before it seals a key is in the store, in ms, so that all instances have read it: see `lookMs`. */
const aheadMs = 120_000;
/** How often instances are to look, in ms. */
export const ticketLookMs = 30_000;
const attemptsMax = 5;

/** The ticket keys of a fleet, in the store: a client resumes its session on any instance. */
export class SharedTicketKeys {
  private readonly options: SharedTicketKeysOptions;
  private text: string | null = null;
  private keys: readonly DatedKey[] = [];
  private given = '';

  constructor(options: SharedTicketKeysOptions) {
    this.options = options;
  }

  /** Reads the keys, and adds the next one when it is time. @throws what the store throws; Error if they cannot be read. */
  async look(): Promise<void> {
    const { notes, passphrase } = this.options;
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const text = await notes.read(noteName);
      if (text !== this.text) {
        this.keys = text === null ? [] : keysOf(openText(text, passphrase));
        this.text = text;
      }
      const next = this.withNext();
      if (next === this.keys) break;
      const written = sealed(textOf(next), passphrase);
      // If another instance was first, its key counts.
      if (await notes.write(noteName, written, { expected: text })) {
        [this.keys, this.text] = [next, written];
        break;
      }
    }
    this.give();
  }

  /** The keys with the one that is due, and without those that have served. */
  private withNext(): readonly DatedKey[] {
    const nowMs = this.options.now();
    const last = this.keys.at(-1);
    if (last !== undefined && nowMs < last.fromMs + sealsMs - aheadMs) return this.keys;
    const fromMs = last === undefined ? nowMs : Math.max(nowMs + aheadMs, last.fromMs + sealsMs);
    // The key before the present one opens as long as that one seals.
    const kept = this.keys.filter((_, i) => (this.keys[i + 1]?.fromMs ?? Number.POSITIVE_INFINITY) + sealsMs > nowMs);
    return [...kept, { key: newTicketKey(), fromMs }];
  }

  private give(): void {
    const nowMs = this.options.now();
    const index = Math.max(
      0,
      this.keys.findLastIndex(({ fromMs }) => fromMs <= nowMs),
    );
    const present = this.keys[index];
    if (present === undefined) return;
    const keys = [present, ...this.keys.filter((one) => one !== present)].map(({ key }) => key);
    const given = keys.map((key) => Buffer.from(key).toString('base64')).join();
    if (given === this.given) return;
    this.given = given;
    this.options.onKeys(keys);
  }
}

function sealed(text: string, passphrase: string | null): string {
  return passphrase === null ? text : sealText(text, passphrase);
}

function textOf(keys: readonly DatedKey[]): string {
  return JSON.stringify(keys.map(({ fromMs, key }) => ({ fromMs, key: Buffer.from(key).toString('base64') })));
}

/** A record that cannot be read counts as none. */
function keysOf(text: string): DatedKey[] {
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    return [];
  }
  if (!Array.isArray(found)) return [];
  return found.flatMap(({ fromMs, key }: { fromMs?: unknown; key?: unknown }) => {
    const bytes = Buffer.from(String(key), 'base64');
    return typeof fromMs === 'number' && isTicketKey(bytes) ? [{ fromMs, key: bytes }] : [];
  });
}
