import { fileURLToPath } from 'node:url';
import type { Site } from '../site.ts';
import type { Launch, Plan } from './proxy.ts';

/** The fastest proxy library of the npm world that we found (docs/performance.md), in `programs/npm-proxy.ts`. */
export function npm(site: Site, plan: Plan): Launch {
  const settings = {
    port: plan.port,
    log: plan.path('log'),
    backendPorts: site.backendPorts,
    hosts: plan.routes.hosts,
  };
  return {
    command: [
      process.execPath,
      fileURLToPath(import.meta.resolve('../programs/npm-proxy.ts')),
      plan.write('json', JSON.stringify(settings)),
    ],
    env: { NODE_ENV: 'production' },
  };
}
