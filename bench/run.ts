import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../scripts/files.ts';
import { findProgram } from '../scripts/servers.ts';
import { startBackends } from './backends.ts';
import { makeCertificate } from './certificate.ts';
import { type Checkout, openCheckout } from './checkout.ts';
import { commandOf } from './command.ts';
import { startEcho } from './echo.ts';
import { describeMachine, describeRevision, describeVersions } from './machine.ts';
import type { RunOptions } from './options.ts';
import { pairedFigures, turnsOf } from './pairs.ts';
import { freePorts } from './ports.ts';
import { Processes } from './processes.ts';
import { Fleet } from './proxies/fleet.ts';
import { startFirst } from './proxies/hipache.ts';
import { checkoutNames, type ProxyName } from './proxies/proxy.ts';
import type { Result } from './result.ts';
import type { Sample } from './sample.ts';
import { chooseGroups } from './scenarios/all.ts';
import type { Context, Group, Scenario } from './scenarios/scenario.ts';
import type { Site } from './site.ts';
import { startSyslogSink } from './syslog-sink.ts';

const proxyCore = 0;
const loadCore = 1;
const backendCount = 4;
/** They end the run, which then takes away what it made. */
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

type Samples = Record<string, { title: string; samples: Record<string, Sample[]> }>;

/**
 * Measures.
 * @param args how it was started, to be kept with the result.
 * @param tell is told of every measurement.
 * @throws where something could not be started or measured; every process has ended by then.
 */
export async function run(options: RunOptions, args: readonly string[], tell: (line: string) => void): Promise<Result> {
  const groups = chooseGroups(options.only, options.short);
  if (
    !groups.some(({ scenarios }) => scenarios.some((one) => options.proxies.some((proxy) => takesPart(one, proxy))))
  ) {
    throw new Error('none of these proxies takes part in these scenarios');
  }
  if (availableParallelism() < 2) throw new Error('two cores are needed: one for the proxy, one for the load');
  // This process is mostly idle, but not on the proxies' core.
  spawnSync(findProgram('taskset') ?? 'taskset', ['-a', '-c', '-p', String(loadCore), String(process.pid)]);
  const date = new Date().toISOString();
  const { checkout, samples } = await onSite(options.against, async (site, checkout) => {
    const samples: Samples = {};
    const context = contextOf(site, options, samples);
    for (const name of options.proxies.filter((one) => checkoutNames.includes(one))) await startFirst(site, name);
    for (const group of groups) await runGroup(group, context, options.rounds, samples, tell);
    return { checkout, samples };
  });
  return {
    format: 1,
    date,
    command: commandOf(args, checkout?.revision ?? null),
    ...describeRevision(root),
    short: options.short,
    rounds: options.rounds,
    seconds: options.seconds,
    machine: describeMachine(),
    versions: describeVersions(),
    scenarios: samples,
    ...(checkout === null ? {} : { against: comparison(checkout, samples) }),
  };
}

function comparison({ revision, changed }: Checkout, all: Samples): NonNullable<Result['against']> {
  const figures = Object.entries(all).flatMap(([scenario, { samples }]) =>
    pairedFigures(scenario, samples['hipache'] ?? [], samples['against'] ?? []),
  );
  return { revision, changed, figures };
}

/**
 * Gives the work a temporary directory, running backends and the other checkout, and takes all away after it, also after
 * a signal.
 */
async function onSite<T>(
  against: string | null,
  work: (site: Site, checkout: Checkout | null) => Promise<T>,
): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'hipache-bench-'));
  const processes = new Processes(directory);
  let stopping: NodeJS.Signals | null = null;
  const onSignal = (signal: NodeJS.Signals) => {
    stopping ??= signal;
    void processes.stopAll();
  };
  for (const signal of signals) process.on(signal, onSignal);
  let checkout: Checkout | null = null;
  try {
    if (against !== null) checkout = openCheckout(against, directory);
    const roots = { hipache: root, ...(checkout === null ? {} : { against: checkout.root }) };
    return await work({ ...(await prepare(processes, directory)), roots }, checkout);
  } catch (error) {
    throw stopping === null ? error : new Error(`stopped by ${stopping}`);
  } finally {
    await processes.stopAll();
    for (const signal of signals) process.off(signal, onSignal);
    checkout?.remove();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function prepare(processes: Processes, directory: string): Promise<Omit<Site, 'roots'>> {
  const ports = await freePorts(backendCount + 6);
  const backendPorts = ports.slice(0, backendCount);
  const [tellingA = 0, tellingB = 0, innerPort = 0, syslogPort = 0, echoPort = 0, grpcPort = 0] =
    ports.slice(backendCount);
  const tellingPorts = [tellingA, tellingB] as const;
  startSyslogSink(processes, syslogPort, loadCore);
  await startBackends(processes, directory, { core: loadCore, ports: backendPorts, tellingPorts, innerPort, grpcPort });
  await startEcho(processes, echoPort, loadCore);
  return {
    ...{ processes, directory, proxyCore, loadCore, backendPorts, tellingPorts, syslogPort, echoPort, grpcPort },
    echoHost: 'echo.bench.example',
    certificate: await makeCertificate(processes, directory, loadCore),
  };
}

function contextOf(site: Site, options: RunOptions, samples: Samples): Context {
  const { seconds, warmUpSeconds, short, proxies } = options;
  return {
    ...{ site, fleet: new Fleet(site), seconds, warmUpSeconds, short, proxies },
    samples: (scenario, proxy) => samples[scenario]?.samples[proxy] ?? [],
  };
}

/**
 * Every scenario of the group with every proxy, in turn, as often as there are rounds. Two checkouts are started anew for
 * each round: what a process happens to have from its start, such as where its memory lies, is then in one pair only.
 */
async function runGroup(
  group: Group,
  context: Context,
  rounds: number,
  samples: Samples,
  tell: (line: string) => void,
): Promise<void> {
  const count = group.once === true ? 1 : rounds;
  for (let round = 1; round <= count; round++) {
    for (const scenario of group.scenarios) {
      for (const proxy of turnsOf(context.proxies, round)) {
        if (!takesPart(scenario, proxy)) continue;
        const sample = await runOnce(scenario, context, proxy);
        samples[scenario.name] ??= { title: scenario.title, samples: {} };
        const ofScenario = samples[scenario.name]?.samples ?? {};
        ofScenario[proxy] = [...(ofScenario[proxy] ?? []), sample];
        tell(line(scenario.name, proxy, round, count, sample));
      }
    }
    if (context.proxies.includes('against')) await context.fleet.retireNamed(checkoutNames);
  }
  for (const routes of group.routes ?? []) await context.fleet.retire(routes);
}

function takesPart(scenario: Scenario, proxy: ProxyName): boolean {
  return scenario.proxies?.includes(proxy) !== false;
}

async function runOnce(scenario: Scenario, context: Context, proxy: ProxyName): Promise<Sample> {
  try {
    return await scenario.run(context, proxy);
  } catch (error) {
    const problems = [(error as Error).message, ...(await context.fleet.problems())];
    throw new Error(`${scenario.name}, ${proxy}: ${problems.join('\n')}`, { cause: error });
  }
}

function line(scenario: string, proxy: string, round: number, rounds: number, sample: Sample): string {
  const { cpuUsPerRequest, requestsPerSecond, p99Us, mibPerCpuSecond, failed, peakRssMib, liveP99Ms } = sample;
  const { rssKibPerTunnel, rssKibPerUsedTunnel, rssKibPerRoute, imbalancePercent, busiestConnections } = sample;
  const { servedP50Ms, servedMaxMs, rssMib, closed, lost, unserved, rssKibPerWaiting, wakeMaxMs } = sample;
  const {
    rssKibPerConnection,
    rssKibPerCertificate,
    estimatedKibPerCertificate = 0,
    certificates,
    firstHandshakeMs,
  } = sample;
  const { proxyPercent, foreignPercent, loadPercent, changesPerSecond, cpuUsPerChange } = sample;
  const parts = [
    cpuUsPerRequest === undefined ? '' : `${cpuUsPerRequest.toFixed(2)} µs CPU/request`,
    requestsPerSecond === undefined ? '' : `${Math.round(requestsPerSecond)}/s`,
    p99Us === undefined ? '' : `p99 ${Math.round(p99Us)} µs`,
    mibPerCpuSecond === undefined ? '' : `${Math.round(mibPerCpuSecond)} MiB/CPU s`,
    changesPerSecond === undefined ? '' : `${Math.round(changesPerSecond)} changes/s`,
    cpuUsPerChange === undefined ? '' : `${cpuUsPerChange.toFixed(1)} µs CPU/change`,
    liveP99Ms === undefined ? '' : `served after p99 ${liveP99Ms.toFixed(1)} ms`,
    servedMaxMs === undefined ? '' : `served after p50 ${ms(servedP50Ms)}, max ${ms(servedMaxMs)}`,
    servedMaxMs === undefined ? '' : `RSS ${Math.round(rssMib ?? 0)} MiB`,
    lost === undefined ? '' : `${lost} requests failed, ${closed} tunnels closed`,
    (unserved ?? 0) > 0 ? `${unserved} changes not served` : '',
    peakRssMib === undefined ? '' : `peak ${Math.round(peakRssMib)} MiB`,
    rssKibPerConnection === undefined ? '' : `${rssKibPerConnection.toFixed(2)} KiB/idle connection`,
    rssKibPerTunnel === undefined ? '' : `${rssKibPerTunnel.toFixed(2)} KiB/idle tunnel`,
    rssKibPerUsedTunnel === undefined ? '' : `${rssKibPerUsedTunnel.toFixed(2)} KiB after a burst`,
    rssKibPerRoute === undefined ? '' : `${rssKibPerRoute.toFixed(2)} KiB/route`,
    rssKibPerCertificate === undefined
      ? ''
      : `${certificates} kept, ${rssKibPerCertificate.toFixed(2)} KiB each, by the estimate ${estimatedKibPerCertificate.toFixed(2)}`,
    firstHandshakeMs === undefined ? '' : `first handshake after ${ms(firstHandshakeMs)}`,
    rssKibPerWaiting === undefined ? '' : `${rssKibPerWaiting.toFixed(2)} KiB/waiting request`,
    wakeMaxMs === undefined ? '' : `woken within ${ms(wakeMaxMs)}`,
    imbalancePercent === undefined
      ? ''
      : `${imbalancePercent.toFixed(1)} % above an even share, ${busiestConnections} connections`,
    proxyPercent === undefined || foreignPercent === undefined
      ? ''
      : `core ${percent(proxyPercent)}+${percent(foreignPercent)}, load ${percent(loadPercent)}`,
    (failed ?? 0) > 0 ? `${failed} FAILED` : '',
  ];
  return `${`${scenario} ${round}/${rounds}`.padEnd(18)} ${proxy.padEnd(8)} ${parts.filter(Boolean).join(', ')}`;
}

function ms(value = 0): string {
  return `${value.toFixed(1)} ms`;
}

function percent(value = 0): string {
  return `${Math.round(value)} %`;
}
