import { setTimeout as delay } from 'node:timers/promises';
import { freePorts, untilListening } from '../ports.ts';
import type { Running } from '../processes.ts';
import type { Site } from '../site.ts';
import type { StorePlan } from './start-store.ts';

/** How long a member may take to lead its cluster once it listens, in ms. */
const leadMsMax = 30_000;

/** Starts etcd, a cluster of one member. */
export async function startEtcd(site: Site, { name, port, directory }: StorePlan): Promise<Running> {
  const [peerPort = 0] = await freePorts(1);
  const own = `http://127.0.0.1:${port}`;
  const peer = `http://127.0.0.1:${peerPort}`;
  const options = [
    ...['--name', 'one', '--data-dir', directory, '--log-level', 'error', '--unsafe-no-fsync'],
    ...['--listen-client-urls', own, '--advertise-client-urls', own],
    ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', `one=${peer}`],
  ];
  const running = site.processes.start(name, ['etcd', ...options], { core: site.loadCore });
  await untilListening(running, port);
  for (const endMs = performance.now() + leadMsMax; performance.now() < endMs; await delay(50)) {
    if (await isHealthy(own)) return running;
  }
  throw new Error(`${name} does not serve:\n${running.output()}`);
}

async function isHealthy(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/health`)).ok;
  } catch {
    return false;
  }
}
