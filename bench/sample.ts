/** What can be measured. `better` says which way is better; null where neither is. */
export const metrics = {
  cpuUsPerRequest: { title: 'CPU per request', unit: 'µs', better: 'less' },
  mibPerCpuSecond: { title: 'bytes per CPU second', unit: 'MiB/s', better: 'more' },
  requestsPerSecond: { title: 'requests per second', unit: '/s', better: 'more' },
  p50Us: { title: 'p50', unit: 'µs', better: 'less' },
  p99Us: { title: 'p99', unit: 'µs', better: 'less' },
  p999Us: { title: 'p99.9', unit: 'µs', better: 'less' },
  /** The machine itself halts for some ms now and then. That spoils the p99 of a second, but few tenths of it. */
  slicedP99Us: { title: 'p99 of a tenth of a second, median', unit: 'µs', better: 'less' },
  rssMib: { title: 'RSS', unit: 'MiB', better: 'less' },
  peakRssMib: { title: 'peak RSS', unit: 'MiB', better: 'less' },
  /** Of an idle connection of HTTP/2 that has had a request. */
  rssKibPerConnection: { title: 'RSS per idle connection', unit: 'KiB', better: 'less' },
  /** Of an open tunnel, beyond the proxy without any: idle, and after a burst through each. */
  rssKibPerTunnel: { title: 'RSS per idle tunnel', unit: 'KiB', better: 'less' },
  rssKibPerUsedTunnel: { title: 'RSS per tunnel after a burst', unit: 'KiB', better: 'less' },
  /** Of a request that waits for a backend, with its connection. */
  rssKibPerWaiting: { title: 'RSS per waiting request', unit: 'KiB', better: 'less' },
  /** From the moment at which a backend listens to the first response that has waited for it. */
  wakeP50Ms: { title: 'listening to first response, p50', unit: 'ms', better: 'less' },
  wakeMaxMs: { title: 'listening to first response, max', unit: 'ms', better: 'less' },
  /** Of a worker with all routes in its cache, beyond the same with one. */
  rssKibPerRoute: { title: 'RSS per cached route', unit: 'KiB', better: 'less' },
  /** Of a certificate that is kept, and of one that has a context; by Hipache's estimate. */
  rssKibPerCertificate: { title: 'RSS per certificate', unit: 'KiB', better: 'less' },
  estimatedKibPerCertificate: { title: 'estimate', unit: 'KiB', better: null },
  certificates: { title: 'certificates', unit: '', better: null },
  certificatesReady: { title: 'ready for a handshake', unit: '', better: null },
  primaryRssMib: { title: "primary's RSS", unit: 'MiB', better: 'less' },
  /** From the start of the program. */
  firstResponseMs: { title: 'start to first response', unit: 'ms', better: 'less' },
  firstHandshakeMs: { title: 'start to first handshake', unit: 'ms', better: 'less' },
  /** How much more than an even share of the requests the busiest worker had, in percent of that share. */
  imbalancePercent: { title: 'requests of the busiest worker above an even share', unit: '%', better: 'less' },
  /** Of the load's connections, those of the worker that has most of them. */
  busiestConnections: { title: 'connections of the worker with most', unit: '', better: null },
  routes: { title: 'routes', unit: '', better: null },
  tunnels: { title: 'tunnels', unit: '', better: null },
  closed: { title: 'tunnels closed', unit: '', better: 'less' },
  /** From the call that writes a route to its acknowledgement. */
  writeP50Ms: { title: 'call to acknowledged, p50', unit: 'ms', better: 'less' },
  writeP99Ms: { title: 'call to acknowledged, p99', unit: 'ms', better: 'less' },
  /** From the acknowledgement to the first response by the new route. */
  liveP50Ms: { title: 'acknowledged to served, p50', unit: 'ms', better: 'less' },
  liveP99Ms: { title: 'acknowledged to served, p99', unit: 'ms', better: 'less' },
  /** From the begin of a change of one route to the first response of its new backend, on every worker that is asked. */
  servedP50Ms: { title: 'change to served, p50', unit: 'ms', better: 'less' },
  servedP99Ms: { title: 'change to served, p99', unit: 'ms', better: 'less' },
  servedMaxMs: { title: 'change to served, max', unit: 'ms', better: 'less' },
  /** To the first response after which no new connection brings one of the old backend. */
  aloneP50Ms: { title: 'change to no old response, p50', unit: 'ms', better: 'less' },
  aloneMaxMs: { title: 'change to no old response, max', unit: 'ms', better: 'less' },
  /** Of all processes of the proxy, beyond what they take while nothing changes. */
  cpuUsPerChange: { title: 'CPU per change', unit: 'µs', better: 'less' },
  changes: { title: 'changes', unit: '', better: null },
  /** Changes whose new backend had not responded within the limit. */
  unserved: { title: 'changes not served', unit: '', better: 'less' },
  /** As `failed`, where that is what a proxy is compared by: then it does not make the run fail. */
  lost: { title: 'requests failed', unit: '', better: 'less' },
  /** As RSS, a page that several processes share counted once. */
  pssMib: { title: 'PSS', unit: 'MiB', better: 'less' },
  processes: { title: 'processes', unit: '', better: null },
  /** Requests without a response, with another status than 200, or with another body. */
  failed: { title: 'failed', unit: '', better: 'less' },
  requests: { title: 'requests', unit: '', better: null },
  seconds: { title: 'duration', unit: 's', better: null },
  /** The fixed rate of the load, where it has one. */
  ratePerSecond: { title: 'rate', unit: '/s', better: null },
  /** Those that were acknowledged: fewer than the writer is to make where the store is too slow. */
  changesPerSecond: { title: 'changes', unit: '/s', better: null },
  /** Writes to the store that one program had under way at once, at most. */
  writesInFlight: { title: 'writes in flight', unit: '', better: null },
  /** Of the server that has the routes. */
  storeRssMib: { title: "store's RSS", unit: 'MiB', better: null },
  /** How busy the proxy's core was: the proxy itself, and anything else, in percent of the time. */
  proxyPercent: { title: "proxy's core, by the proxy", unit: '%', better: null },
  foreignPercent: { title: "proxy's core, by others", unit: '%', better: null },
  /** At 100 the load, not the proxy, sets the requests per second. */
  loadPercent: { title: "load's core", unit: '%', better: null },
} as const satisfies Record<string, { title: string; unit: string; better: 'less' | 'more' | null }>;

export type Metric = keyof typeof metrics;

/** What one round measured. */
export type Sample = Readonly<Partial<Record<Metric, number>>>;

export function isMetric(name: string): name is Metric {
  return Object.hasOwn(metrics, name);
}
