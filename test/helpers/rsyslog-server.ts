import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServerProcess } from './server-process.ts';
import { startOnFreePorts } from './start-on-free-ports.ts';

/** A message as rsyslog has understood it. */
export interface SyslogMessage {
  readonly input: string;
  readonly facility: string;
  readonly severity: string;
  readonly timestamp: string;
  readonly host: string;
  readonly program: string;
  readonly processId: string;
  readonly messageId: string;
  readonly data: string;
  readonly text: string;
}

const parts = [
  'inputname',
  'syslogfacility-text',
  'syslogseverity-text',
  'timestamp:::date-rfc3339',
  'hostname',
  'app-name',
  'procid',
  'msgid',
  'structured-data',
  'msg',
];
const separator = '#';

/** An rsyslogd in a temporary directory that listens on UDP, TCP, and a Unix socket (a stream), and writes to a file. */
export class RsyslogServer {
  readonly directory = mkdtempSync(join(tmpdir(), 'hipache-rsyslog-'));
  readonly port: number;
  private running: ServerProcess | null = null;

  private constructor(port: number) {
    this.port = port;
  }

  static start(): Promise<RsyslogServer> {
    return startOnFreePorts(1, ([port = 0]) => new RsyslogServer(port));
  }

  get socket(): string {
    return join(this.directory, 'socket');
  }

  /** The URLs by which it is reached. */
  get urls(): readonly string[] {
    const { port, socket } = this;
    return [`syslog://127.0.0.1:${port}`, `syslog+tcp://127.0.0.1:${port}`, `syslog+unix://${socket}`];
  }

  async start(): Promise<void> {
    const { directory, port, socket } = this;
    const template = parts.map((part) => `%${part}%`).join(separator);
    const lines = [
      `global(workDirectory="${directory}" net.enableDNS="off")`,
      'module(load="imudp")',
      `input(type="imudp" address="127.0.0.1" port="${port}")`,
      'module(load="imtcp")',
      `input(type="imtcp" address="127.0.0.1" port="${port}")`,
      'module(load="imptcp")',
      `input(type="imptcp" path="${socket}" unlink="on")`,
      `template(name="parts" type="string" string="${template}\\n")`,
      `if $app-name == "hipache" then action(type="omfile" file="${this.file}" template="parts")`,
    ];
    writeFileSync(join(directory, 'rsyslog.conf'), lines.map((line) => `${line}\n`).join(''));
    const running = new ServerProcess([
      'rsyslogd',
      ...['-n', '-f', join(directory, 'rsyslog.conf'), '-i', join(directory, 'pid')],
    ]);
    this.running = running;
    await running.ready(() => existsSync(socket) && listens('tcp', port) && listens('udp', port));
  }

  messages(): readonly SyslogMessage[] {
    if (!existsSync(this.file)) return [];
    const lines = readFileSync(this.file, 'latin1').split('\n').slice(0, -1);
    return lines.map((line) => {
      const [input, facility, severity, timestamp, host, program, processId, messageId, data, ...text] =
        line.split(separator);
      const known = { input, facility, severity, timestamp, host, program, processId, messageId, data };
      // A blank after the structured data belongs to the message for rsyslog.
      return { ...known, text: text.join(separator).replace(/^ /, '') } as SyslogMessage;
    });
  }

  /** Ends it. Its port and its file stay the same for the next start. */
  async kill(): Promise<void> {
    await this.running?.stop();
    this.running = null;
  }

  async remove(): Promise<void> {
    await this.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }

  private get file(): string {
    return join(this.directory, 'messages');
  }
}

/** Whether a socket of IPv4 on this machine has the port, as its own. */
function listens(protocol: 'tcp' | 'udp', port: number): boolean {
  const digits = port.toString(16).toUpperCase().padStart(4, '0');
  return new RegExp(`^ *\\d+: [0-9A-F]{8}:${digits} 00000000:0000 `, 'm').test(
    readFileSync(`/proc/net/${protocol}`, 'latin1'),
  );
}
