import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { freePorts, untilListening } from './ports.ts';
import type { Site } from './site.ts';

let started = 0;

/** Starts a Redis of its own on the load's core, without persistence. @returns its URL. */
export async function startRedis(site: Site, label: string): Promise<string> {
  const [port = 0] = await freePorts(1);
  const name = `${label}-redis-${++started}`;
  const directory = join(site.directory, name);
  mkdirSync(directory);
  const options = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', directory];
  const running = site.processes.start(name, ['redis-server', ...options], { core: site.loadCore });
  await untilListening(running, port);
  return `redis://127.0.0.1:${port}`;
}
