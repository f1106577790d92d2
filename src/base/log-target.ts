/** Where a log goes. */
export type LogTarget =
  | { readonly kind: 'stdout' }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'syslog-udp' | 'syslog-tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'syslog-unix'; readonly path: string };

/** RFC 5424 section 6.2.1, in the order of their numbers. */
export const syslogFacilities = [
  'kern',
  'user',
  'mail',
  'daemon',
  'auth',
  'syslog',
  'lpr',
  'news',
  'uucp',
  'cron',
  'authpriv',
  'ftp',
  'ntp',
  'audit',
  'alert',
  'clock',
  'local0',
  'local1',
  'local2',
  'local3',
  'local4',
  'local5',
  'local6',
  'local7',
] as const;
export type SyslogFacility = (typeof syslogFacilities)[number];

/** Names of the standard output. They cannot be opened if that is a socket, as under systemd. */
const standardOutputs = new Set(['-', '/dev/stdout', '/dev/fd/1', '/proc/self/fd/1']);
/** RFC 5426 section 3.3; RFC 6587 names none, and servers use the same. */
const syslogPort = 514;

/**
 * Reads `-`, a path, `syslog://host:514` (UDP), `syslog+tcp://host:514` or `syslog+unix:///path`.
 * @returns null for a URL of syslog that cannot be used.
 */
export function parseLogTarget(text: string): LogTarget | null {
  if (standardOutputs.has(text)) return { kind: 'stdout' };
  const [, scheme, rest = ''] = /^(syslog(?:\+[a-z]*)?):(.*)$/i.exec(text) ?? [];
  if (scheme === undefined) return { kind: 'file', path: text };
  if (scheme === 'syslog+unix') {
    return /^\/\/\/[^?#]+$/.test(rest) ? { kind: 'syslog-unix', path: rest.slice(2) } : null;
  }
  if (scheme !== 'syslog' && scheme !== 'syslog+tcp') return null;
  const [, bracketed, plain = '', digits] = /^\/\/(?:\[([0-9a-f:.]+)\]|([\w.-]+))(?::(\d{1,5}))?\/?$/i.exec(rest) ?? [];
  const host = bracketed ?? plain;
  const port = digits === undefined ? syslogPort : Number(digits);
  if (host === '' || port < 1 || port > 65_535) return null;
  return { kind: scheme === 'syslog' ? 'syslog-udp' : 'syslog-tcp', host, port };
}

/** The path of the file of a log; null if it goes elsewhere. */
export function logFileOf(text: string): string | null {
  const target = parseLogTarget(text);
  return target?.kind === 'file' ? target.path : null;
}
