import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createReadStream, existsSync, renameSync } from 'node:fs';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { HipacheHome, program } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { ask } from '../helpers/http-client.ts';
import { until } from '../helpers/until.ts';

describe('the access log of several workers', () => {
  let home: HipacheHome;
  let backend: HttpBackend;

  beforeEach(async () => {
    home = new HipacheHome();
    backend = await HttpBackend.start('one');
    home.configure({}, { workers: 2 });
    await home.route('set', 'a.example', backend.url);
  });

  afterEach(async () => {
    await home.remove();
    await backend.stop();
  });

  /** Requests on separate connections, so that both workers get some, with targets of many lengths. */
  async function askOften(port: number, name: string, times: number, longest: number): Promise<void> {
    for (let count = 0; count < times; count += 20) {
      await Promise.all(
        Array.from({ length: 20 }, (_, index) => {
          const number = count + index;
          return ask(port, 'a.example', { path: `/${name}-${number}-${'x'.repeat((number * 37) % longest)}` });
        }),
      );
    }
  }

  it('is one file with whole lines', async () => {
    const proxy = await home.serve();
    await askOften(proxy.port, 'n', 400, 2000);
    proxy.signal('SIGTERM');
    assert.equal(await proxy.ended(), 0);
    const lines = home.read('access.log').trimEnd().split('\n');
    for (const line of lines)
      assert.match(line, /^::ffff:127\.0\.0\.1 - - \[[^\]]+\] "GET \/n-\d+-x* HTTP\/1\.1" 200 /);
    assert.equal(new Set(lines.map((line) => /\/n-(\d+)-/.exec(line)?.[1])).size, 400);
    assert.equal(lines.length, 400);
  });

  it('is reopened by all of them on SIGUSR1', async () => {
    const proxy = await home.serve();
    await askOften(proxy.port, 'before', 40, 100);
    await until(
      'the lines',
      () => existsSync(home.path('access.log')) && home.read('access.log').split('\n').length === 41,
    );
    renameSync(home.path('access.log'), home.path('access.log.1'));
    proxy.signal('SIGUSR1');
    await until('the new file', () => existsSync(home.path('access.log')));
    await askOften(proxy.port, 'after', 40, 100);
    const text = (): string => home.read('access.log') + home.read('access.log.1');
    await until('the lines', () => text().split('\n').length === 81);
    assert.equal(text().split('/before-').length - 1, 40);
    assert.equal(text().split('/after-').length - 1, 40);
  });

  it('is written to a standard output that is a socket, by its path too', async () => {
    home.configure({}, { workers: 1, accessLog: '/dev/stdout' });
    // Node gives children sockets for their streams.
    const proxy = await home.serve();
    await askOften(proxy.port, 'n', 1, 1);
    await until('the line', () => /"GET \/n-0- HTTP\/1\.1" 200 /.test(proxy.output));
    assert.doesNotMatch(proxy.output, /FIFO/);
  });

  it('never has a line inside another one on a pipe, however long they are', async () => {
    home.configure({}, { workers: 2, accessLog: '-' });
    const pipe = home.path('pipe');
    execFileSync('mkfifo', [pipe]);
    const child = spawn('sh', ['-c', 'exec "$0" --config "$1" > "$2"', program, home.path('config.json'), pipe], {
      stdio: 'ignore',
    });
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
    let text = '';
    createReadStream(pipe).on('data', (bytes) => {
      text += bytes.toString('latin1');
    });
    try {
      const port = (): number => Number(/listening on http:\/\/[^\s]*:(\d+)/.exec(text)?.[1] ?? 0);
      await until('the proxy to listen', () => port() > 0);
      await askOften(port(), 'n', 600, 7000);
      child.kill('SIGTERM');
      assert.equal(await ended, 0);
      await until('the last line', () => text.includes(' stopped'));
    } finally {
      child.kill('SIGKILL');
    }
    const lines = text.split('\n').filter((line) => line.includes('/n-'));
    for (const line of lines) {
      assert.match(
        line,
        /^::ffff:127\.0\.0\.1 - - \[[^\]]+\] "GET \/n-\d+-x*(\.\.\.)? HTTP\/1\.1" 200 \d+ "" "" "[^"]+" [\d.]+ [\d.]+$/,
      );
      assert.ok(line.length < 4096);
    }
    assert.equal(new Set(lines.map((line) => /\/n-(\d+)-/.exec(line)?.[1])).size, 600);
    assert.equal(lines.length, 600);
  });
});
