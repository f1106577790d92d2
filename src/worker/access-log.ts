import type { Clock } from '../base/clock.ts';
import { invariant } from '../base/invariant.ts';
import type { Log } from '../base/log.ts';
import { parseLogTarget } from '../base/log-target.ts';
import type { Config } from '../config/config.ts';
import { hipacheLine, jsonLine } from '../telemetry/access-line.ts';
import { AccessLog } from '../telemetry/access-log.ts';
import type { LineSink, LineSinkOptions } from '../telemetry/line-sink.ts';
import { LogFile } from '../telemetry/log-file.ts';
import { SyslogMessages } from '../telemetry/syslog-message.ts';
import { SyslogSink } from '../telemetry/syslog-sink.ts';
import { SyslogDatagrams, SyslogStream } from '../telemetry/syslog-transports.ts';

/** The access log as the configuration wants it. @throws HipacheError CONFIG_INVALID if its file cannot be opened. */
export function accessLogOf({ limits, server }: Config, log: Log, clock: Clock): AccessLog {
  const epochMs = (): number => clock.epochMs();
  return new AccessLog({
    sink: sinkOf(
      server,
      { bufferBytesMax: limits.accessLogBufferBytesMax, onProblem: (message) => log.error(message) },
      epochMs,
    ),
    line: server.accessLogFormat === 'json' ? jsonLine : hipacheLine,
    share: server.accessLogSample,
    epochMs,
  });
}

function sinkOf(
  { accessLog, accessLogFacility }: Config['server'],
  options: LineSinkOptions,
  epochMs: () => number,
): LineSink {
  const target = parseLogTarget(accessLog);
  invariant(target !== null, 'the configuration has a place for the access log');
  if (target.kind === 'stdout') return new LogFile({ ...options, path: '-' });
  if (target.kind === 'file') return new LogFile({ ...options, path: target.path });
  const transport =
    target.kind === 'syslog-udp' ? new SyslogDatagrams(target.host, target.port) : new SyslogStream(target);
  const messages = new SyslogMessages(accessLogFacility, epochMs);
  return new SyslogSink({ ...options, url: accessLog, messages, transport });
}
