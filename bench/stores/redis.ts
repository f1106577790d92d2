import { untilListening } from '../ports.ts';
import type { Running } from '../processes.ts';
import type { Site } from '../site.ts';
import type { StorePlan } from './start-store.ts';

/** Starts Redis, without persistence. */
export async function startRedis(site: Site, { name, port, directory }: StorePlan): Promise<Running> {
  const options = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', directory];
  const running = site.processes.start(name, ['redis-server', ...options], { core: site.loadCore });
  await untilListening(running, port);
  return running;
}
