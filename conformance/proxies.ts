import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts, untilListening } from '../bench/ports.ts';
import { Processes } from '../bench/processes.ts';
import { root } from '../scripts/files.ts';
import { findProgram } from '../scripts/servers.ts';
import { openStore } from '../src/stores/open-store.ts';
import { CapturingBackend } from './capturing-backend.ts';

/** What the page compares, in the order of its columns. */
export const comparedNames = ['hipache', 'nginx', 'haproxy'] as const;
export type ComparedName = (typeof comparedNames)[number];

/** A proxy that runs with its own backend. */
export interface ComparedProxy {
  readonly name: ComparedName;
  readonly port: number;
  readonly backend: CapturingBackend;
  /** Why it does not run any more, null while it does. */
  problem(): string | null;
}

/** Where a proxy listens, and what it is in front of. */
interface Place {
  readonly port: number;
  readonly backendPort: number;
  path(ending: string): string;
  write(ending: string, text: string): string;
}

const isRoot = process.getuid?.() === 0;

/** The commands that start them. */
const launches: Readonly<Record<ComparedName, (place: Place) => readonly string[] | Promise<readonly string[]>>> = {
  hipache: async (place) => {
    const driver = `sqlite:${place.path('db')}`;
    const store = await openStore(driver);
    const url = `http://127.0.0.1:${place.backendPort}`;
    for (const host of ['a.test', '*']) await store.routes.set(host, null, [url]);
    await store.close();
    const configuration = {
      server: { accessLog: place.path('log'), httpKeepAlive: true, workers: 1, mappedAddresses: false },
      http: { port: place.port, bind: ['127.0.0.1'] },
      driver,
      ...(isRoot ? { user: 'root' } : {}),
    };
    return [join(root, 'bin', 'hipache'), '--config', place.write('json', JSON.stringify(configuration))];
  },
  nginx: (place) => ['nginx', '-c', place.write('conf', nginxConfiguration(place)), '-e', 'stderr'],
  haproxy: (place) => ['haproxy', '-db', '-f', place.write('cfg', haproxyConfiguration(place))],
};

/** As its manual has it for a reverse proxy with connections that are kept, and for WebSockets. */
function nginxConfiguration({ port, backendPort, path }: Place): string {
  return `
worker_processes 1;
daemon off;
${isRoot ? 'user root;' : ''}
pid ${path('pid')};
error_log stderr crit;
events {}
http {
  access_log off;
  client_body_temp_path ${path('body')};
  proxy_temp_path ${path('temp')};
  fastcgi_temp_path ${path('fastcgi')};
  uwsgi_temp_path ${path('uwsgi')};
  scgi_temp_path ${path('scgi')};
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  upstream backend { server 127.0.0.1:${backendPort}; keepalive 32; }
  server {
    listen 127.0.0.1:${port};
    server_name a.test;
    location / {
      proxy_pass http://backend;
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_set_header Host $host;
      proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $host;
      proxy_set_header X-Forwarded-Port $server_port;
    }
  }
}
`;
}

/** HTTP mode with its defaults; the fields that name the client are set rather than appended. */
function haproxyConfiguration({ port, backendPort }: Place): string {
  return `
global
  nbthread 1
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 5s
  timeout tunnel 3600s
frontend conformance
  bind 127.0.0.1:${port}
  http-request set-header X-Real-IP %[src]
  http-request set-header X-Forwarded-For %[src]
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Forwarded-Port %[dst_port]
  default_backend all
backend all
  server one 127.0.0.1:${backendPort}
`;
}

/** Proxies and their files, for one run. */
export class ComparedProxies {
  private readonly directory = mkdtempSync(join(tmpdir(), 'hipache-conformance-'));
  private readonly processes = new Processes(this.directory);
  private readonly backends: CapturingBackend[] = [];

  async start(name: ComparedName): Promise<ComparedProxy> {
    const [port = 0, backendPort = 0] = await freePorts(2);
    const backend = await CapturingBackend.start(backendPort);
    this.backends.push(backend);
    const path = (ending: string) => join(this.directory, `${name}.${ending}`);
    const write = (ending: string, text: string) => {
      writeFileSync(path(ending), text);
      return path(ending);
    };
    const command = await launches[name]({ port, backendPort, path, write });
    const running = this.processes.start(name, command, { env: { NODE_OPTIONS: '' } });
    await untilListening(running, port);
    // The port may be open before the program answers.
    await (await fetch(`http://127.0.0.1:${port}/sync`)).arrayBuffer();
    await backend.endAll();
    const problem = () => (running.exitCode === null ? null : `${name} ended:\n${running.output()}`);
    return { name, port, backend, problem };
  }

  /** Ends all, and removes their files. */
  async stop(): Promise<void> {
    await this.processes.stopAll();
    for (const backend of this.backends) await backend.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Name and version, as the page has it. */
export function titleOf(name: ComparedName): string {
  if (name === 'hipache') {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
    return `Hipache ${version}`;
  }
  const path = findProgram(name) ?? name;
  const shell = `"${path}" -v 2>&1`;
  const output = execFileSync('sh', ['-c', shell], { encoding: 'utf8' });
  const version = /\d+\.\d+\.\d+/.exec(output)?.[0] ?? '';
  return `${name === 'nginx' ? 'nginx' : 'HAProxy'} ${version}`;
}
