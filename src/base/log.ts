import { type DestinationStream, pino } from 'pino';
import { printable } from './printable.ts';

type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';

/** Named values for a message. An Error becomes its message, and its code if it has one. */
export type LogFields = Readonly<Record<string, unknown>>;

/** The operational log, as the rooms see it. Never used for events of every request. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

export interface LogOptions {
  readonly level: LogLevel;
  /** `text`: `2026-11-22T10:00:00.123Z info  message key=value`; `json`: an object with time, level, msg and fields. */
  readonly format: 'text' | 'json';
  /** Receives one line with its line feed. Default: writes to standard error, synchronously. */
  readonly write?: (line: string) => void;
  /** Epoch milliseconds. Default: the system clock. */
  readonly now?: () => number;
}

/** Creates a log. It writes one line per event, whatever the message and fields contain. */
export function createLog(options: LogOptions): Log {
  const write = options.write ?? standardError();
  const now = options.now ?? Date.now;
  const destination: DestinationStream =
    options.format === 'json' ? { write } : { write: (line) => write(textLine(line)) };
  const logger = pino(
    {
      level: options.level,
      base: null,
      timestamp: () => `,"time":"${new Date(now()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
  const at = (level: 'debug' | 'info' | 'warn' | 'error') => (message: string, fields?: LogFields) => {
    if (logger.isLevelEnabled(level)) logger[level](plainFields(fields ?? {}), message);
  };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

function standardError(): (line: string) => void {
  const stream = pino.destination({ fd: 2, sync: true });
  // The log's reader may go away (a closed pipe), but the proxy continues.
  stream.on('error', () => {});
  return (line) => {
    stream.write(line);
  };
}

/** Names that the line itself uses. A field with such a name gets an underscore. */
const reserved = new Set(['time', 'level', 'msg']);

function plainFields(fields: LogFields): Record<string, unknown> {
  const plain: Record<string, unknown> = Object.create(null);
  for (const [name, value] of Object.entries(fields)) {
    const safeName = reserved.has(name) ? `${name}_` : name;
    plain[safeName] = plainValue(value);
    if (value instanceof Error && 'code' in value) plain[`${safeName}Code`] = String(value.code);
  }
  return plain;
}

function plainValue(value: unknown): unknown {
  if (value instanceof Error) return value.message;
  if (typeof value === 'bigint') return value.toString();
  return value;
}

/** The text form of one of pino's lines. */
function textLine(line: string): string {
  const { time, level, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const pairs = Object.entries(fields).map(([name, value]) => ` ${printable(name)}=${textValue(value)}`);
  return `${time} ${String(level).padEnd(5)} ${printable(String(msg))}${pairs.join('')}\n`;
}

/** Bare if it cannot be read as more than one word, else in quotes. */
function textValue(value: unknown): string {
  if (typeof value === 'string' && /^[^\s"'=\\]+$/.test(value)) return printable(value);
  // JSON escapes quotes, backslashes and control characters; `printable` escapes the rest.
  return printable(JSON.stringify(value) ?? 'null');
}
