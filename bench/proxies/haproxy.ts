import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HostAuthority } from '../host-certificates.ts';
import type { Site } from '../site.ts';
import { type Launch, mapLines, type Plan, portsOf } from './proxy.ts';

/**
 * One thread, logging to the syslog sink, the route by a map file, connections to the backends shared and kept. A host
 * moves by a command that sets its line of the map in memory; the backends are those of the start.
 */
export function haproxy(site: Site, plan: Plan): Launch {
  const backends = site.backendPorts.length;
  const { moved } = plan.routes;
  const map = plan.write(
    'map',
    mapLines(plan.routes, backends, (host, backend) => `${host} backend${backend}`) +
      (moved === undefined ? '' : `${moved} telling0\n`),
  );
  const command = ['haproxy', '-db', '-f', plan.write('cfg', configuration(site, plan, map))];
  if (moved === undefined) return { command };
  const commandTo = (telling: number) => `set map ${map} ${moved} telling${telling}\n`;
  return { command, move: { way: 'command', socket: plan.path('socket'), commands: [commandTo(0), commandTo(1)] } };
}

function configuration(site: Site, plan: Plan, map: string): string {
  const hasMoved = plan.routes.moved !== undefined;
  const backends = [
    ...site.backendPorts.map((_, i) => ({ name: `backend${i}`, ports: portsOf(site, plan.routes, i) })),
    ...(hasMoved ? site.tellingPorts.map((port, i) => ({ name: `telling${i}`, ports: [port] })) : []),
  ];
  return `
global
  nbthread 1
  maxconn 9500
  log 127.0.0.1:${site.syslogPort} local0
  ${hasMoved ? `stats socket ${plan.path('socket')} mode 600 level admin` : ''}
defaults
  mode http
  log global
  option httplog
  option forwardfor
  http-reuse always
  unique-id-format %{+X}o\\ %ci:%cp_%fi:%fp_%Ts_%rt:%pid
  unique-id-header X-Request-Id
  timeout client 60s
  timeout server 60s
  timeout connect 5s
  timeout tunnel 3600s
  timeout http-keep-alive 3600s
frontend bench
  bind 127.0.0.1:${plan.port} backlog 4096
  bind 127.0.0.1:${plan.tlsPort} backlog 4096 ssl crt ${site.certificate.both}${hostCertificates(plan)} alpn h2,http/1.1
  bind 127.0.0.1:${plan.h2cPort} backlog 4096 proto h2
  http-request set-header X-Real-IP %[src]
  http-request set-header X-Forwarded-Proto http if !{ ssl_fc }
  http-request set-header X-Forwarded-Proto https if { ssl_fc }
  http-request set-header X-Forwarded-Port %[dst_port]
  use_backend echo if { req.hdr(host) ${site.echoHost} }
  use_backend %[req.hdr(host),field(1,:),lower,map_str(${map},backend0)]
backend echo
  server one 127.0.0.1:${site.echoPort}
${backends
  .map(({ name, ports }) => {
    const protocol = plan.routes.grpc ? ' proto h2' : '';
    const servers = ports.map((port, i) => `  server server${i} 127.0.0.1:${port}${protocol}`);
    return `backend ${name}\n${servers.join('\n')}`;
  })
  .join('\n')}
`;
}

/** The option for a directory with a certificate for each host; empty if they have none. */
function hostCertificates(plan: Plan): string {
  if (!plan.routes.certificates) return '';
  const authority = new HostAuthority();
  const directory = plan.path('certificates');
  mkdirSync(directory, { recursive: true });
  for (const host of plan.routes.hosts) {
    const { certificate, key } = authority.issue(host);
    writeFileSync(join(directory, `${host}.pem`), certificate + key);
  }
  return ` crt ${directory}`;
}
