import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Site } from '../site.ts';

/** A load as hard as it can: each connection sends the next request when it has the response. */
export interface WrkLoad {
  readonly port: number;
  /** Whether the port speaks TLS. */
  readonly tls?: boolean;
  readonly path: string;
  readonly connections: number;
  /** Whole seconds. */
  readonly seconds: number;
  /** One, or several of which each request takes one, evenly at random or in turn. */
  readonly hosts: readonly string[];
  readonly inTurn?: boolean;
  /** In place of `hosts`, so many of `routeSet`: in turn, from the one of this number on; or by Zipf's law. */
  readonly shops?: { readonly count: number; readonly order: 'zipf' | { readonly from: number } };
  /** Whether each request has a connection of its own. */
  readonly newConnections?: boolean;
  /** Bytes of the body of each request, which makes it a POST. 0 for none. */
  readonly bodyBytes?: number;
  /** Lines of more fields of each request. Only with one host. */
  readonly fields?: readonly string[];
  /** What wrk may use. Default: the load's core. */
  readonly cores?: readonly number[];
}

/** What came of a load. Latencies in microseconds. */
export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  readonly failed: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
  /** The median of the p99s of slices of time: see `metrics`. */
  readonly slicedP99Us?: number;
  /** How busy the load's core was, where the load knows better than the kernel: it may wait by spinning. */
  readonly loadPercent?: number;
}

interface WrkSummary extends Omit<LoadResult, 'seconds' | 'failed'> {
  readonly durationUs: number;
  readonly connect: number;
  readonly read: number;
  readonly write: number;
  readonly timeout: number;
  readonly status: number;
}

/** How long wrk may take to end after its time, in ms. */
const endMsMax = 60_000;

let scripts = 0;

/** Runs wrk, of one thread. */
export async function wrk(site: Site, load: WrkLoad): Promise<LoadResult> {
  const script = join(site.directory, `wrk-${++scripts}.lua`);
  writeFileSync(script, scriptOf(load));
  const [host = ''] = load.hosts;
  const command = [
    'wrk',
    ...['--threads', '1', '--connections', String(load.connections), '--duration', `${load.seconds}s`],
    ...['--timeout', '30s', '--script', script, '--header', `Host: ${host}`],
    ...(load.newConnections ? ['--header', 'Connection: close'] : []),
    ...(load.fields ?? []).flatMap((field) => ['--header', field]),
    `${load.tls ? 'https' : 'http'}://127.0.0.1:${load.port}${load.path}`,
  ];
  const core = load.cores ?? site.loadCore;
  const output = await site.processes.run('wrk', command, { core }, load.seconds * 1000 + endMsMax);
  const text = /^RESULT (.*)$/m.exec(output)?.[1];
  if (text === undefined) throw new Error(`wrk gave no result:\n${output}`);
  const summary: WrkSummary = JSON.parse(text);
  const { requests, p50Us, p99Us, p999Us } = summary;
  const failed = summary.connect + summary.read + summary.write + summary.timeout + summary.status;
  return { requests, seconds: summary.durationUs / 1e6, failed, p50Us, p99Us, p999Us };
}

function scriptOf({ hosts, path, inTurn, shops, bodyBytes = 0 }: WrkLoad): string {
  const body = bodyBytes > 0 ? `wrk.method = "POST"\nwrk.body = string.rep("x", ${bodyBytes})\n` : '';
  const requests =
    shops !== undefined ? shopRequests(shops, path) : hosts.length > 1 ? requestsOf(hosts, path, inTurn === true) : '';
  return `${body}${requests}
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '\\nRESULT {"requests":%d,"durationUs":%d,"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d,' ..
    '"p50Us":%d,"p99Us":%d,"p999Us":%d}\\n',
    summary.requests, summary.duration, e.connect, e.read, e.write, e.timeout, e.status,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
`;
}

/** Too many to be made beforehand. The n-th host gets a share of about 1/n: exp of an even number has that distribution. */
function shopRequests({ count, order }: NonNullable<WrkLoad['shops']>, path: string): string {
  const choose =
    order === 'zipf'
      ? `at = math.floor(math.exp(math.random() * math.log(${count} + 1))) - 1`
      : `at = (at + 1) % ${count}`;
  return `
local at, format = ${order === 'zipf' ? 0 : order.from - 1}, string.format
init = function() math.randomseed(os.time()) end
request = function() ${choose} return format("GET ${path} HTTP/1.1\\r\\nHost: shop-%06d.bench.example\\r\\n\\r\\n", at) end
`;
}

/** All requests are made beforehand: a request then costs the load no more than a look into a table. */
function requestsOf(hosts: readonly string[], path: string, inTurn: boolean): string {
  const next = inTurn ? 'at = at % count + 1 return requests[at]' : 'return requests[random(count)]';
  return `
local requests, count, at, random = {}, 0, 0, math.random
init = function()
  math.randomseed(os.time())
  for host in ([[${hosts.join(' ')}]]):gmatch("%S+") do
    count = count + 1
    requests[count] = "GET ${path} HTTP/1.1\\r\\nHost: " .. host .. "\\r\\n\\r\\n"
  end
end
request = function() ${next} end
`;
}
