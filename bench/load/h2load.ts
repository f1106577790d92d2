import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Site } from '../site.ts';
import { percentile } from '../statistics.ts';
import type { LoadResult } from './wrk.ts';

/** A load over HTTP/2 as hard as it can: each stream is followed by the next one once it has its response. */
export interface H2Load {
  readonly port: number;
  /** Default: over TLS. */
  readonly isPlain?: boolean;
  readonly host: string;
  readonly path: string;
  readonly connections: number;
  /** At a time on each connection. */
  readonly streams: number;
  readonly seconds: number;
  /** Bytes of the body of each request, which makes it a POST. Default 0, none. */
  readonly bodyBytes?: number;
  /** Further fields, each `name: value`. */
  readonly fields?: readonly string[];
}

/** How long h2load may take to end after its time, in ms. */
const endMsMax = 60_000;

let runs = 0;

/** Runs h2load, of one thread. */
export async function h2load(site: Site, load: H2Load): Promise<LoadResult> {
  const { bodyBytes = 0, connections, fields = [], host, isPlain, path, port, seconds, streams } = load;
  const number = ++runs;
  const times = join(site.directory, `h2load-${number}.log`);
  const body = join(site.directory, `h2load-${number}.body`);
  if (bodyBytes > 0) writeFileSync(body, Buffer.alloc(bodyBytes, 'x'));
  const command = [
    'h2load',
    ...['--clients', String(connections), '--max-concurrent-streams', String(streams)],
    ...['--duration', String(seconds), '--log-file', times, '--header', `:authority: ${host}`],
    ...fields.flatMap((field) => ['--header', field]),
    ...(bodyBytes > 0 ? ['--data', body] : []),
    `${isPlain ? 'http' : 'https'}://127.0.0.1:${port}${path}`,
  ];
  const output = await site.processes.run('h2load', command, { core: site.loadCore }, seconds * 1000 + endMsMax);
  const [, succeeded = '', failed = ''] = /(\d+) succeeded, (\d+) failed/.exec(output) ?? [];
  if (succeeded === '') throw new Error(`h2load gave no result:\n${output}`);
  // Of each request: its begin, its status, and how long it took in µs.
  const lines = readFileSync(times, 'utf8').trim().split('\n');
  const timesUs = lines.map((line) => Number(line.split('\t')[2])).filter((us) => us >= 0);
  const [p50Us, p99Us, p999Us] = [50, 99, 99.9].map((percent) => percentile(timesUs, percent)) as [
    number,
    number,
    number,
  ];
  return { requests: Number(succeeded), seconds, failed: Number(failed), p50Us, p99Us, p999Us };
}
