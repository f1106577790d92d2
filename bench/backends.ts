import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { responseFields } from './fields.ts';
import { untilListening } from './ports.ts';
import type { Processes } from './processes.ts';

const KiB = 1024;
const MiB = 1024 * KiB;

/** What the backends respond with: paths and lengths in bytes. A body sent to `/upload` is read whole, then answered. */
export const responses = {
  small: { path: '/', bytes: 40 },
  /** As `small`, with 20 fields. */
  headers: { path: '/headers', bytes: 40 },
  body64k: { path: '/64k', bytes: 64 * KiB },
  body10m: { path: '/10m', bytes: 10 * MiB },
  upload: { path: '/upload', bytes: 3 },
} as const;

interface BackendSettings {
  readonly core: number;
  readonly ports: readonly number[];
  readonly tellingPorts: readonly [number, number];
  /** For nginx itself: `/upload` reads the body and then asks here for the response. */
  readonly innerPort: number;
  /** For HTTP/2 without TLS, as a server of gRPC: every response has a message of 40 bytes and `grpc-status` behind it. */
  readonly grpcPort: number;
}

/** Starts nginx as all the backends. */
export async function startBackends(processes: Processes, directory: string, settings: BackendSettings): Promise<void> {
  const root = join(directory, 'files');
  mkdirSync(root);
  for (const { path, bytes } of [responses.body64k, responses.body10m]) {
    writeFileSync(join(root, path), '');
    truncateSync(join(root, path), bytes);
  }
  const file = join(directory, 'backends.conf');
  writeFileSync(file, configuration(root, directory, settings));
  const server = processes.start('backends', ['nginx', '-c', file, '-e', 'stderr'], { core: settings.core });
  for (const port of [...settings.ports, ...settings.tellingPorts, settings.grpcPort])
    await untilListening(server, port);
}

function configuration(root: string, directory: string, settings: BackendSettings): string {
  const { grpcPort, ports, tellingPorts, innerPort } = settings;
  const body = '0123456789'.repeat(responses.small.bytes / 10);
  return `
worker_processes 1;
daemon off;
${process.getuid?.() === 0 ? 'user root;' : ''}
pid ${directory}/backends.pid;
error_log stderr crit;
worker_rlimit_nofile 16384;
events { worker_connections 8192; }
http {
  access_log off;
  default_type application/octet-stream;
  keepalive_requests 1000000000;
  keepalive_timeout 3600s;
  sendfile on;
  tcp_nodelay on;
  client_max_body_size 0;
  client_body_buffer_size 11m;
  client_body_temp_path ${directory}/backends-body;
  proxy_temp_path ${directory}/backends-proxy;
  open_file_cache max=16 inactive=3600s;
  open_file_cache_valid 3600s;
  upstream inner { server 127.0.0.1:${innerPort}; keepalive 64; keepalive_requests 1000000000; }
  server {
    ${ports.map((port) => `listen 127.0.0.1:${port} backlog=4096;`).join(' ')}
    root ${root};
    location = / { default_type text/plain; return 200 "${body}"; }
    location = ${responses.headers.path} {
      default_type text/plain;
      ${Object.entries(responseFields)
        .map(([name, value]) => `add_header ${name} "${value}";`)
        .join('\n      ')}
      return 200 "${body}";
    }
    location = /upload {
      proxy_pass http://inner;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Content-Length "";
      proxy_pass_request_body off;
    }
    location / { }
  }
  server {
    listen 127.0.0.1:${grpcPort} http2 backlog=4096;
    http2_max_requests 1000000000;
    location / { default_type application/grpc; add_trailer grpc-status 0; return 200 "${body}"; }
  }
  server { listen 127.0.0.1:${innerPort}; location / { return 200 "ok\\n"; } }
  ${tellingPorts.map((port, i) => `server { listen 127.0.0.1:${port}; location / { return 200 "${'ab'[i]}"; } }`).join('\n  ')}
}
`;
}
