import type { Site } from '../site.ts';
import { type Launch, mapLines, type Plan, portsOf } from './proxy.ts';

/**
 * One worker, a buffered log file, the route by `map`, connections to the backends kept. The host that moves has a file
 * of its own in that map: to move it is to write one line, however many hosts there are. `worker_shutdown_timeout` is as
 * it is by itself: an old worker stays as long as it has a tunnel. So its memory counts, and it has fewer slots for
 * connections, which take 424 bytes each.
 */
export function nginx(site: Site, plan: Plan): Launch {
  const backends = site.backendPorts.length;
  const map = plan.write(
    'map',
    mapLines(plan.routes, backends, (host, backend) => `${host} backend${backend};`),
  );
  const lines = [0, 1].map((telling) => `${plan.routes.moved} telling${telling};\n`);
  const [toA = '', toB = ''] = lines;
  const file = plan.routes.moved === undefined ? null : plan.write('moved', toA);
  const conf = plan.write('conf', configuration(site, plan, file === null ? [map] : [map, file]));
  return {
    command: ['nginx', '-c', conf, '-e', 'stderr'],
    ...(file === null ? {} : { move: { way: 'reload', file, texts: [toA, toB] } }),
  };
}

function configuration(site: Site, plan: Plan, maps: readonly string[]): string {
  const upstreams = [
    ...site.backendPorts.map((_, i) => ({ name: `backend${i}`, ports: portsOf(site, plan.routes, i) })),
    ...(plan.routes.moved === undefined
      ? []
      : site.tellingPorts.map((port, i) => ({ name: `telling${i}`, ports: [port] }))),
  ];
  const hashSize = 2 ** Math.ceil(Math.log2(Math.max(2048, plan.routes.hosts.length * 2)));
  return `
worker_processes 1;
daemon off;
${process.getuid?.() === 0 ? 'user root;' : ''}
pid ${plan.path('pid')};
error_log stderr error;
worker_rlimit_nofile 20000;
events { worker_connections ${plan.routes.moved === undefined ? 19900 : 4096}; }
http {
  access_log ${plan.path('log')} combined buffer=64k flush=1s;
  keepalive_requests 1000000000;
  keepalive_timeout 3600s;
  client_max_body_size 0;
  client_body_temp_path ${plan.path('body')};
  proxy_temp_path ${plan.path('temp')};
  proxy_max_temp_file_size 0;
  ssl_certificate ${site.certificate.certificate};
  ssl_certificate_key ${site.certificate.key};
  ssl_protocols TLSv1.2 TLSv1.3;
  map_hash_max_size ${hashSize};
  map_hash_bucket_size 128;
  map $host $backend { ${maps.map((map) => `include ${map};`).join(' ')} }
${upstreams
  .map(({ name, ports }) => {
    const servers = ports.map((port) => `server 127.0.0.1:${port};`).join(' ');
    return `  upstream ${name} { ${servers} keepalive 256; keepalive_requests 1000000000; }`;
  })
  .join('\n')}
  server {
    listen 127.0.0.1:${plan.port} backlog=4096 default_server;
    listen 127.0.0.1:${plan.tlsPort} ssl http2 backlog=4096 default_server;
    listen 127.0.0.1:${plan.h2cPort} http2 backlog=4096 default_server;
    location / {
      ${plan.routes.grpc ? 'grpc_pass grpc://$backend;' : 'proxy_pass http://$backend;'}
      proxy_http_version 1.1;
      proxy_request_buffering off;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Port $server_port;
      proxy_set_header X-Request-Id $request_id;
    }
  }
  server {
    listen 127.0.0.1:${plan.port};
    listen 127.0.0.1:${plan.tlsPort} ssl http2;
    server_name ${site.echoHost};
    location / {
      proxy_pass http://127.0.0.1:${site.echoPort};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection upgrade;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_read_timeout 3600s;
      proxy_send_timeout 3600s;
    }
  }
}
`;
}
