import type { Site } from '../site.ts';
import { type Launch, type Plan, portsOf } from './proxy.ts';

const movedId = 'moved';

/**
 * On one processor, its access log in a file, connections to the backends kept. A route for each backend, with all its
 * hosts: Caddy searches a long list of hosts by halves, a `map` from its start to its end. The host that moves has a
 * route of its own with an `@id`, before the others; only where there is one, the admin API is on, at the port that others
 * have for TLS.
 */
export function caddy(site: Site, plan: Plan): Launch {
  const file = plan.write('json', JSON.stringify(configuration(site, plan), null, 1));
  const home = plan.path('home');
  const { moved } = plan.routes;
  const bodyTo = (port: number) => JSON.stringify(movedRoute(moved ?? '', port));
  const [a, b] = site.tellingPorts;
  return {
    command: ['caddy', 'run', '--config', file],
    env: { GOMAXPROCS: '1', HOME: home, XDG_DATA_HOME: home, XDG_CONFIG_HOME: home },
    ...(moved === undefined
      ? {}
      : { move: { way: 'patch', port: plan.tlsPort, path: `/id/${movedId}`, bodies: [bodyTo(a), bodyTo(b)] } }),
  };
}

function configuration(site: Site, plan: Plan): unknown {
  const { moved, hosts } = plan.routes;
  return {
    // With the API, the configuration is kept after each change, as it is by itself.
    admin:
      moved === undefined ? { disabled: true, config: { persist: false } } : { listen: `127.0.0.1:${plan.tlsPort}` },
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
            routes: [
              ...(moved === undefined ? [] : [movedRoute(moved, site.tellingPorts[0])]),
              ...site.backendPorts.map((_, backend) =>
                route(
                  hosts.filter((_, i) => i % site.backendPorts.length === backend),
                  portsOf(site, plan.routes, backend),
                ),
              ),
              route([site.echoHost], [site.echoPort]),
            ],
          },
        },
      },
    },
  };
}

function movedRoute(host: string, port: number): unknown {
  return { '@id': movedId, ...route([host], [port]) };
}

function route(hosts: readonly string[], ports: readonly number[]): object {
  return { match: [{ host: hosts }], handle: [reverseProxy(ports)], terminal: true };
}

function reverseProxy(ports: readonly number[]): unknown {
  return {
    handler: 'reverse_proxy',
    upstreams: ports.map((port) => ({ dial: `127.0.0.1:${port}` })),
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
