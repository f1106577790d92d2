import { type DestinationStream, pino } from 'pino';
import { printable } from './printable.ts';

type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';

/** Named values beside a message. An Error becomes its message and, if it has one, its code. */
export type LogFields = Readonly<Record<string, unknown>>;

/** The operational log, as the rooms see it. Never for something that happens on every request. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

export interface LogOptions {
  readonly level: LogLevel;
  /** `text`: `2026-11-22T10:00:00.123Z info  message key=value`; `json`: an object of time, level, msg and fields. */
  readonly format: 'text' | 'json';
  /** Takes one line with its line feed. Default: the standard error, synchronously. */
  readonly write?: (line: string) => void;
  /** Epoch milliseconds. Default: the system's clock. */
  readonly now?: () => number;
}

/** Makes a log: one line an event, whatever is in the message and the fields. */
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
  // The reader of the log may go away (a closed pipe); the proxy goes on.
  stream.on('error', () => {});
  return (line) => {
    stream.write(line);
  };
}

/** Names that the line itself uses; a field of that name gets an underscore. */
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

/** Bare where it cannot be taken for more than one word, else in quotes. */
function textValue(value: unknown): string {
  if (typeof value === 'string' && /^[^\s"'=\\]+$/.test(value)) return printable(value);
  // JSON escapes quotes, backslashes and controls; what it leaves is escaped after it.
  return printable(JSON.stringify(value) ?? 'null');
}
