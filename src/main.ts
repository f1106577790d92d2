import { randomBytes } from 'node:crypto';
import { flushCompileCache } from 'node:module';
import { BlockList, isIP } from 'node:net';
import { hostname } from 'node:os';
import { fileURLToPath } from 'node:url';
import { systemClock } from './base/clock.ts';
import { HipacheError } from './base/errors.ts';
import { createLog, type Log } from './base/log.ts';
import { RareProblems } from './base/rare-problems.ts';
import type { Config } from './config/config.ts';
import type { LoadedConfig } from './config/load.ts';
import { exitCodes, runCommandLine } from './control/command-line.ts';
import { packageVersion } from './control/version.ts';
import { DataPlane } from './proxy/data-plane.ts';
import { ErrorPages } from './proxy/error-pages.ts';
import type { ProxySettings } from './proxy/settings.ts';
import { defaultRetryBudget } from './routing/retry-budget.ts';
import { parseDriverUrl } from './stores/driver-url.ts';
import { openStore } from './stores/open-store.ts';
import { RouteCache } from './stores/route-cache.ts';
import { dropPrivileges, handOver, type RunAs, resolveAccount } from './supervisor/privileges.ts';
import { onReopenSignal, untilStopped } from './supervisor/signals.ts';
import { hipacheLine, jsonLine } from './telemetry/access-line.ts';
import { AccessLog } from './telemetry/access-log.ts';

/** How long the access log may take to write its rest when the proxy stops. */
const lastLinesMs = 2000;

/** The composition root: builds every room's part from the configuration, serves, and takes it down again. */
async function serve({ config, file, notes, warnings }: LoadedConfig): Promise<number> {
  const log = createLog({
    level: config.server.logLevel,
    format: config.server.logFormat,
    write: (line) => process.stdout.write(line),
  });
  log.info(`hipache ${packageVersion()} starts`, { pid: process.pid, config: file ?? 'none', node: process.version });
  for (const note of notes) log.info(note);
  for (const warning of warnings) log.warn(warning);
  try {
    return await run(config, log);
  } catch (error) {
    if (!(error instanceof HipacheError)) throw error;
    log.error(error.message, { code: error.code });
    return exitCodes.failed;
  }
}

async function run(config: Config, log: Log): Promise<number> {
  const account = resolveAccount(config.user, config.group);
  if (account !== null) handOverFiles(config, account);
  const accessLog = new AccessLog({
    path: config.server.accessLog,
    line: config.server.accessLogFormat === 'json' ? jsonLine : hipacheLine,
    bufferBytesMax: config.limits.accessLogBufferBytesMax,
    epochMs: systemClock.epochMs,
    onProblem: (message) => log.error(message),
  });
  onReopenSignal(() => accessLog.reopen());
  const problems = new RareProblems(log.error, systemClock);
  const pages = errorPages(config, log);
  const store = await openStore(config.driver);
  const routes = new RouteCache({
    store,
    instance: `${hostname()}-${randomBytes(4).toString('hex')}`,
    limits: {
      entriesMax: config.limits.cacheEntriesMax,
      bytesMax: config.limits.cacheBytesMax,
      absencesMax: config.limits.cacheAbsentMax,
    },
    log,
    onProblem: (pattern, problem) => log.warn(`the record of ${pattern}: ${problem.message}`),
  });
  await routes.start();
  const dataPlane = new DataPlane({
    settings: proxySettings(config),
    routes,
    observer: accessLog,
    pages,
    clock: systemClock,
    random: Math.random,
    version: packageVersion(),
    onProblem: (what, error) => problems.report(what, { error }),
  });
  try {
    for (const bind of config.http.bind) {
      const port = await dataPlane.listen({ ...bind, secure: false });
      const address = isIP(bind.address) === 6 ? `[${bind.address}]` : bind.address;
      log.info(`listening on http://${address}:${port}`, bind.proxyProtocol ? { proxyProtocol: true } : {});
    }
    if (account !== null) {
      // Once more, for what the start has made.
      handOverFiles(config, account);
      dropPrivileges(account);
      log.info(`running as ${account.user}`);
    }
    flushCompileCache();
    await untilStopped(async (signal) => {
      log.info(`${signal}: finishing what is under way, for up to ${config.server.drainSeconds} s`);
      const clean = await dataPlane.drain(config.server.drainSeconds * 1000);
      if (!clean) log.warn('some requests had not finished, and were ended');
    });
  } finally {
    dataPlane.close();
    await accessLog.close(lastLinesMs);
    if (accessLog.dropped > 0) log.warn('access log lines were dropped', { lines: accessLog.dropped });
    pages.close();
    await routes.close();
    await store.close();
  }
  log.info('stopped');
  return exitCodes.ok;
}

/** What the account will write to has to be its own before root is given up. */
function handOverFiles(config: Config, account: RunAs): void {
  if (config.server.accessLog !== '-') handOver(config.server.accessLog, account);
  for (const url of config.driver) {
    const { path } = parseDriverUrl(url);
    if (path === null) continue;
    for (const suffix of ['', '-wal', '-shm']) handOver(path + suffix, account);
  }
}

function errorPages(config: Config, log: Log): ErrorPages {
  const directory = config.server.staticDir ?? fileURLToPath(new URL('../pages', import.meta.url));
  try {
    const pages = new ErrorPages(directory, (message) => log.warn(message));
    if (config.server.staticDir !== null) pages.watch();
    return pages;
  } catch (error) {
    throw new HipacheError('CONFIG_INVALID', `server.staticDir: ${(error as Error).message}`, { cause: error });
  }
}

function proxySettings({ server, limits }: Config): ProxySettings {
  return {
    headBytesMax: limits.headBytesMax,
    headFieldsMax: limits.headFieldsMax,
    targetBytesMax: limits.targetBytesMax,
    backendConnectionsMax: server.maxSockets,
    backendKeepAlive: server.httpKeepAlive,
    backendIdleMs: limits.backendIdleSeconds * 1000,
    connectTimeoutMs: limits.connectTimeoutSeconds * 1000,
    inactivityMs: server.tcpTimeout * 1000,
    headTimeoutMs: limits.headTimeoutSeconds * 1000,
    keepAliveMs: limits.keepAliveSeconds * 1000,
    queueMax: limits.queueMax,
    queueTimeoutMs: limits.queueTimeoutSeconds * 1000,
    retriesMax: server.retryOnError,
    retryBodyBytesMax: limits.retryBodyBytesMax,
    retryBudget: { ...defaultRetryBudget, ratio: limits.retryBudgetPercent / 100 },
    interimAnswersMax: limits.interimAnswersMax,
    connectionsMax: limits.connectionsMax,
    requestsPerHostMax: limits.requestsPerHostMax,
    writeBufferBytesMax: limits.writeBufferBytesMax,
    downMs: server.deadBackendTTL * 1000,
    downOn500: server.deadBackendOn500,
    trustedProxies: trustedProxies(server.trustedProxies),
  };
}

function trustedProxies(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address, bits] = network.split('/') as [string, string?];
    const family = isIP(address) === 4 ? 'ipv4' : 'ipv6';
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return list;
}

process.exitCode = await runCommandLine(process.argv.slice(2), {
  serve,
  openStore,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  cwd: process.cwd(),
});
