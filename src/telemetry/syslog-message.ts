import { hostname } from 'node:os';
import { type SyslogFacility, syslogFacilities } from '../base/log-target.ts';

/** The severity "informational". */
const severity = 6;
/** RFC 5424 section 7.3.1. */
const sequenceMax = 2_147_483_647;
/** Longest message in bytes: the default limit of rsyslog (RFC 5424 section 6.1 asks for 2048 at least). */
export const messageBytesMax = 8096;

/** Makes the messages of one process (RFC 5424). */
export class SyslogMessages {
  /** Of the header with its structured data, at most. */
  readonly headBytesMax: number;
  private readonly before: string;
  private readonly after: string;
  private readonly epochMs: () => number;
  private sequence = 0;
  private timeMs = Number.NaN;
  private time = '';

  constructor(facility: SyslogFacility, epochMs: () => number, host = hostname(), pid = process.pid) {
    const number = syslogFacilities.indexOf(facility);
    const name = host.replace(/[^\x21-\x7e]/g, '').slice(0, 255) || '-';
    this.before = `<${number * 8 + severity}>1 `;
    this.after = ` ${name} hipache ${pid} access [meta sequenceId="`;
    this.epochMs = epochMs;
    this.headBytesMax = this.before.length + 24 + this.after.length + String(sequenceMax).length + 3;
  }

  /** @param line without its line feed. */
  of(line: string): string {
    const nowMs = this.epochMs();
    if (nowMs !== this.timeMs) {
      this.timeMs = nowMs;
      this.time = new Date(nowMs).toISOString();
    }
    this.sequence = this.sequence === sequenceMax ? 1 : this.sequence + 1;
    return `${this.before}${this.time}${this.after}${this.sequence}"] ${line}`;
  }
}
