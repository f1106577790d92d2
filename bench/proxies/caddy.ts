import type { Site } from '../site.ts';
import type { Launch, Plan } from './proxy.ts';

/**
 * On one processor, its access log in a file, connections to the backends kept. A route for each backend, with all its
 * hosts: Caddy searches a long list of hosts by halves, a `map` from its start to its end.
 */
export function caddy(site: Site, plan: Plan): Launch {
  const file = plan.write('json', JSON.stringify(configuration(site, plan), null, 1));
  const home = plan.path('home');
  return {
    command: ['caddy', 'run', '--config', file],
    env: { GOMAXPROCS: '1', HOME: home, XDG_DATA_HOME: home, XDG_CONFIG_HOME: home },
  };
}

function configuration(site: Site, plan: Plan): unknown {
  return {
    admin: { disabled: true, config: { persist: false } },
    logging: {
      logs: {
        default: { level: 'ERROR', exclude: ['http.log.access'] },
        access: {
          writer: { output: 'file', filename: plan.path('log'), roll: false },
          encoder: { format: 'json' },
          include: ['http.log.access'],
        },
      },
    },
    apps: {
      http: {
        servers: {
          bench: {
            listen: [`127.0.0.1:${plan.port}`],
            automatic_https: { disable: true },
            logs: {},
            routes: site.backendPorts.map((port, backend) => ({
              match: [{ host: plan.routes.hosts.filter((_, i) => i % site.backendPorts.length === backend) }],
              handle: [reverseProxy(port)],
              terminal: true,
            })),
          },
        },
      },
    },
  };
}

function reverseProxy(port: number): unknown {
  return {
    handler: 'reverse_proxy',
    upstreams: [{ dial: `127.0.0.1:${port}` }],
    transport: {
      protocol: 'http',
      compression: false,
      keep_alive: { idle_timeout: '60s', max_idle_conns: 1024, max_idle_conns_per_host: 256 },
    },
    headers: {
      request: {
        set: { 'X-Real-IP': ['{http.request.remote.host}'], 'X-Request-Id': ['{http.request.uuid}'] },
      },
    },
  };
}
