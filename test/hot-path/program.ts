// The data plane with access log and metrics, as in a worker, in a separate process whose work can be measured.
//   node program.ts BACKEND_PORT LOG      (IPC: sends its port, and answers every message with its counts)

import { readFileSync } from 'node:fs';
import { getHeapStatistics } from 'node:v8';
import { systemClock } from '../../src/base/clock.ts';
import { DataPlane } from '../../src/proxy/data-plane.ts';
import { pingResponder } from '../../src/proxy/local-responder.ts';
import { buildFrontend } from '../../src/routing/record.ts';
import { hipacheLine } from '../../src/telemetry/access-line.ts';
import { AccessLog } from '../../src/telemetry/access-log.ts';
import { LogFile } from '../../src/telemetry/log-file.ts';
import { RequestMetrics } from '../../src/telemetry/request-metrics.ts';
import { backendTls } from '../../src/tls/backend-tls.ts';
import { testPolicy, testSettings } from '../helpers/test-proxy.ts';

/** What the process has done since its start. */
export interface Counts {
  readonly allocatedBytes: number;
  /** System calls that read and write, for sockets and files. */
  readonly reads: number;
  readonly writes: number;
}

const [, , backendPort, log = ''] = process.argv;
const frontend = buildFrontend('a.test', {
  frontend: ['a.test', `http://127.0.0.1:${backendPort}`],
  down: new Map(),
});
const sink = new LogFile({
  path: log,
  bufferBytesMax: 8 * 1024 * 1024,
  onProblem: (message) => {
    throw new Error(message);
  },
});
const accessLog = new AccessLog({ sink, line: hipacheLine, share: 1, epochMs: systemClock.epochMs });
const dataPlane = new DataPlane({
  settings: testSettings,
  policy: testPolicy(),
  routes: {
    cached: () => frontend,
    load: async () => frontend,
    confirmAbsent: () => null,
    policyWithoutRoute: () => null,
    current: (frontend) => frontend,
    markDown: () => {},
  },
  responders: [pingResponder],
  observer: new RequestMetrics(accessLog),
  pages: null,
  fetch: async () => ({ status: 404, fields: [], body: '' }),
  clock: systemClock,
  random: Math.random,
  version: 'test',
  resolver: {
    watch: () => {
      throw new Error('no backend has a name');
    },
  },
  backendTls: backendTls([], true),
  onAsleep: () => {},
  onAwake: () => {},
  onUsed: () => {},
  onWarning: () => {},
  onProblem: (what, error) => {
    throw new Error(what, { cause: error });
  },
});
process.on('message', () => process.send?.(counts()));
process.on('disconnect', () => process.exit());
process.send?.(await dataPlane.listen({ address: '127.0.0.1', port: 0, proxyProtocol: false }));

function counts(): Counts {
  const io = readFileSync('/proc/self/io', 'latin1');
  const of = (name: string): number => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(io)?.[1]);
  return { allocatedBytes: getHeapStatistics().total_allocated_bytes, reads: of('syscr'), writes: of('syscw') };
}
