import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { findProgram } from '../../scripts/servers.ts';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { ask } from '../helpers/http-client.ts';
import { ServerProcess } from '../helpers/server-process.ts';
import { startOnFreePorts } from '../helpers/start-on-free-ports.ts';

const curl = async (...args: readonly string[]): Promise<string> =>
  (await promisify(execFile)('curl', ['-sS', ...args])).stdout;

describe('nginx behind Hipache, curl in front of it', () => {
  const home = new HipacheHome();
  let proxy: HipacheProcess;
  let nginx: Nginx;

  before(async () => {
    mkdirSync(home.path('www'));
    writeFileSync(home.path('www/file'), 'x'.repeat(200_000));
    nginx = await startOnFreePorts(1, ([port = 0]) => new Nginx(home.directory, port));
    home.configure();
    await home.route('set', 'app.localhost', `http://127.0.0.1:${nginx.port}`);
    proxy = await home.serve();
  });

  after(async () => {
    await nginx.remove();
    await home.remove();
  });

  const url = (path: string): string => `http://app.localhost:${proxy.port}${path}`;
  const here = (): string[] => ['--resolve', `app.localhost:${proxy.port}:127.0.0.1`];

  it('serves a whole file and a range of it', async () => {
    assert.equal((await curl(...here(), url('/file'))).length, 200_000);
    assert.equal(await curl(...here(), '-r', '10-19', url('/file')), 'xxxxxxxxxx');
    assert.match(await curl(...here(), '-I', url('/file')), /content-length: 200000/i);
  });

  it('serves many requests over one connection', async () => {
    const urls = Array.from({ length: 20 }, (_, count) => url(`/echo/${count}`));
    const responses = await curl(...here(), ...urls);
    assert.equal(responses, Array.from({ length: 20 }, (_, count) => `/echo/${count}\n`).join(''));
  });

  it('passes on compressed responses in chunks, of unknown length', async () => {
    const text = await curl(...here(), '--compressed', url('/file'));
    assert.equal(text.length, 200_000);
  });

  it('accepts HTTP/1.0 requests', async () => {
    assert.equal(await curl(...here(), '--http1.0', url('/echo/old')), '/echo/old\n');
  });

  it('passes on a 304', async () => {
    const head = await curl(...here(), '-I', url('/file'));
    const tag = /etag: (\S+)/i.exec(head)?.[1] ?? '';
    const status = await curl(
      ...here(),
      '-o',
      '/dev/null',
      '-w',
      '%{http_code}',
      '-H',
      `If-None-Match: ${tag}`,
      url('/file'),
    );
    assert.equal(status, '304');
  });

  it('tells nginx who the client is', async () => {
    const seen = await curl(...here(), '-H', 'X-Forwarded-For: 192.0.2.1', url('/who'));
    assert.match(seen, /^for=::ffff:127\.0\.0\.1 proto=http host=app\.localhost id=[0-9a-f]{32}\n$/);
  });

  it('waits for 100-continue, and passes on a refusal of the body', async () => {
    writeFileSync(home.path('upload'), 'y'.repeat(50_000));
    const status = await curl(
      ...here(),
      '-o',
      '/dev/null',
      '-w',
      '%{http_code}',
      '-T',
      home.path('upload'),
      url('/small'),
    );
    assert.equal(status, '413');
  });
});

class Nginx {
  readonly port: number;
  private readonly running: ServerProcess;

  constructor(directory: string, port: number) {
    this.port = port;
    const file = join(directory, 'nginx.conf');
    writeFileSync(file, nginxConfig(directory, port));
    this.running = new ServerProcess([findProgram('nginx') ?? 'nginx', '-c', file, '-p', directory, '-e', 'stderr']);
  }

  async start(): Promise<void> {
    await this.running.ready(() =>
      ask(this.port, 'x').then(
        () => true,
        () => false,
      ),
    );
  }

  /** Its files are in the home of Hipache. */
  async remove(): Promise<void> {
    await this.running.stop('SIGTERM');
  }
}

function nginxConfig(directory: string, port: number): string {
  return `
daemon off;
${process.getuid?.() === 0 ? 'user root;' : ''}
worker_processes 1;
pid ${directory}/nginx.pid;
error_log stderr;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path ${directory}/body;
  proxy_temp_path ${directory}/proxy;
  fastcgi_temp_path ${directory}/fastcgi;
  uwsgi_temp_path ${directory}/uwsgi;
  scgi_temp_path ${directory}/scgi;
  gzip on;
  gzip_types *;
  gzip_min_length 1;
  server {
    listen 127.0.0.1:${port};
    root ${directory}/www;
    location /echo/ { default_type text/plain; return 200 "$uri\\n"; }
    location = /who {
      default_type text/plain;
      return 200 "for=$http_x_forwarded_for proto=$http_x_forwarded_proto host=$host id=$http_x_request_id\\n";
    }
    location = /small { client_max_body_size 1k; proxy_pass http://127.0.0.1:1; }
  }
}
`;
}
