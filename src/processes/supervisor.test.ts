import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { until } from '../../test/helpers/until.ts';
import { systemClock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Config } from '../config/config.ts';
import type { Plan } from './plan.ts';
import { Supervisor } from './supervisor.ts';
import type { RestartReason } from './worker-slot.ts';

/** A worker that obeys and does nothing else. */
const obedient = `
process.on('message', (message) => {
  if (message.kind === 'start') process.send({ kind: 'ready' });
  if (message.kind === 'release') process.send({ kind: 'released' });
  if (message.kind === 'ping') process.send({ kind: 'pong', report: { values: { answers: 1 }, drains: [] } });
  if (message.kind !== 'drain') return;
  process.send({ kind: 'drained', clean: true, report: { values: {}, drains: [] } }, () => process.exit(0));
});
`;

describe('a supervisor', () => {
  let directory: string;
  let lines: string[];
  let restarts: RestartReason[];
  let supervisor: Supervisor;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'hipache-supervisor-'));
    lines = [];
    restarts = [];
  });

  afterEach(async () => {
    supervisor.killAll();
    await until('the end of all workers', () => supervisor.all.length === 0);
    await supervisor.stop({ forMs: 0, closeCode: 1001 });
    rmSync(directory, { recursive: true, force: true });
  });

  function plan(workers: number, instance = 'test'): Plan {
    const settings = { config: {} as Config, instance, tls: null };
    const sockets = { sockets: [], descriptors: [] };
    return { workers, settings, ...sockets, drainMs: 1000, stuckMs: 60_000 };
  }

  function supervise(program: string, workers: number): Supervisor {
    const path = join(directory, 'worker.mjs');
    writeFileSync(path, program);
    const write: Log['info'] = (message, fields) => void lines.push(`${message} ${JSON.stringify(fields)}`);
    const log: Log = { debug: write, info: write, warn: write, error: write };
    supervisor = new Supervisor({
      program: { path, env: process.env },
      plan: plan(workers),
      onMarked: () => {},
      onChecked: () => {},
      onCertificateWanted: () => {},
      platform: { asleep: () => {}, awake: () => {}, used: () => {} },
      guard: { isHolding: false, judge: async () => {} },
      known: { bytes: 0, add: () => {}, abandon: () => {}, assign: () => [], chunks: () => [], clear: () => {} },
      observer: { restarted: (reason) => restarts.push(reason), reported: () => {}, gone: () => {} },
      log,
      clock: systemClock,
      random: () => 0,
    });
    return supervisor;
  }

  test('starts and stops as many workers as the plan has', async () => {
    assert.equal(await supervise(obedient, 3).start(), true);
    assert.equal(supervisor.readyCount, 3);
    assert.equal(await supervisor.stop({ forMs: 1000, closeCode: 1001 }), true);
    assert.deepEqual(supervisor.all, []);
  });

  test('gives up a start if every worker dies silently', async () => {
    await assert.rejects(supervise('process.exit(3)', 2).start(), { code: 'WORKER_FAILED' });
    assert.deepEqual(supervisor.all, []);
    assert.ok(restarts.length >= 5);
  });

  test('reports why a worker cannot start', async () => {
    const refusing = `process.send({ kind: 'failed', code: 'STORE_DAMAGED', message: 'bad file' }, () => process.exit(1))`;
    await assert.rejects(supervise(refusing, 2).start(), { code: 'STORE_DAMAGED', message: 'bad file' });
    assert.deepEqual(supervisor.all, []);
  });

  test('replaces a worker over its memory limit once, however often it reports that', async () => {
    const greedy = `${obedient}setInterval(() => process.send({ kind: 'overMemory', residentBytes: 1 }), 20);`;
    await supervise(greedy, 2).start();
    await until('the replacement', () => restarts.length > 0);
    await until('the end of the old one', () => supervisor.all.length === 2);
    const { length } = lines;
    await Promise.all(supervisor.all.map((worker) => worker.refresh(20_000)));
    assert.deepEqual(restarts, ['memory']);
    assert.equal(lines.length, length);
  });

  test('rejects a plan with which no worker starts', async () => {
    const program = `${obedient}
process.prependListener('message', (message) => {
  if (message.kind === 'start' && message.start.instance === 'broken') process.exit(1);
});`;
    await supervise(program, 2).start();
    const before = supervisor.all;
    assert.equal(await supervisor.reload(plan(2, 'broken')), false);
    assert.deepEqual(supervisor.all, before);
    assert.equal(await supervisor.reload(plan(1)), true);
    await until('one worker', () => supervisor.all.length === 1);
    assert.ok(!before.includes(supervisor.all[0] as (typeof before)[0]));
  });

  test('leaves the sockets of removed addresses to the workers that accept from them before the first one drains', async () => {
    const program = `import { appendFileSync } from 'node:fs';
process.on('message', ({ kind, kept }) => {
  if (kind === 'release' || kind === 'drain') {
    appendFileSync(new URL('orders', import.meta.url), kind + ' ' + process.pid + ' ' + (kept ?? '') + '\\n');
  }
});
${obedient}`;
    const at = (port: number) => ({
      address: '::1',
      port,
      secure: false,
      proxyProtocol: false,
      halfClose: false,
      protocols: ['http/1.1'],
    });
    const withPorts = (...ports: number[]) => ({
      ...plan(2),
      sockets: ports.map((port, index) => ({ ...at(port), fd: 4 + index, addressIndex: index, share: 0 })),
    });
    supervise(program, 2).plan = withPorts(1, 2);
    await supervisor.start();
    const former = supervisor.all;
    let isFollowed = false;
    assert.equal(await supervisor.reload(withPorts(2), () => (isFollowed = true)), true);
    assert.ok(isFollowed);
    await until('the end of the former ones', () => supervisor.all.length === 2);
    const orders = readFileSync(join(directory, 'orders'), 'utf8').split('\n').filter(Boolean);
    const pids = former.map(({ pid }) => pid);
    const ofFormer = orders.filter((order) => pids.includes(Number(order.split(' ')[1])));
    assert.deepEqual(
      ofFormer.map((order) => order.replace(/ \d+ /, ' ').trim()),
      ['release ::1 2', 'release ::1 2', 'drain', 'drain'],
    );
  });

  test('starts no worker once it stops, not even for a new plan', async () => {
    const program = obedient.replace("=== 'start')", "=== 'start' && message.start.instance !== 'silent')");
    await supervise(program, 1).start();
    const reloaded = supervisor.reload(plan(3, 'silent'));
    await until('the new worker', () => supervisor.all.length === 2);
    await supervisor.stop({ forMs: 1000, closeCode: 1001 });
    assert.equal(await reloaded, false);
    assert.deepEqual(supervisor.all, []);
    assert.equal(await supervisor.reload(plan(2)), false);
    assert.deepEqual(supervisor.all, []);
  });

  test('retries workers that did not follow a plan, and sends them nothing of it', async () => {
    const program = `import { appendFileSync, existsSync } from 'node:fs';
${obedient.replace("=== 'start')", "=== 'start' && !isBroken(message.start))")}
let number = 0;
const file = (name) => new URL(name, import.meta.url);
process.on('message', (message) => {
  if (message.kind === 'start') number = message.start.number;
  if (message.kind === 'tls') appendFileSync(file('told'), number + ' ' + message.tls + '\\n');
});
function isBroken(start) {
  if (start.instance === 'new' && start.number === 2 && existsSync(file('broken'))) process.exit(1);
  return false;
}`;
    await supervise(program, 3).start();
    const before = supervisor.all;
    writeFileSync(join(directory, 'broken'), '');
    assert.equal(await supervisor.reload(plan(3, 'new')), true);
    assert.match(lines.join('\n'), /did not start; retrying {"workers":"2"}/);
    const behind = supervisor.all.filter((worker) => before.includes(worker) && worker.state === 'ready');
    assert.deepEqual(
      behind.map(({ number }) => number),
      [2],
    );
    supervisor.tellTls('renewed');
    // Not the worker that is starting in vain: it dies without a reply.
    const ready = supervisor.all.filter(({ state }) => state === 'ready');
    assert.equal(ready.length, 3);
    await Promise.all(ready.map((worker) => worker.refresh(20_000)));
    assert.deepEqual(readFileSync(join(directory, 'told'), 'utf8').split('\n').sort(), ['', '1 renewed', '3 renewed']);
    rmSync(join(directory, 'broken'));
    await until('the last one', () => restarts.length === 3);
    await until('the end of the old ones', () => supervisor.all.length === 3);
    assert.ok(supervisor.all.every((worker) => !before.includes(worker)));
  });

  test('has another worker accept for a missing one, and again if that one dies or is replaced', async () => {
    const program = `import { appendFileSync, existsSync } from 'node:fs';
${obedient.replace("=== 'start')", "=== 'start' && (message.start.number < 3 || !existsSync(file('broken'))))")}
const file = (name) => new URL(name, import.meta.url);
process.on('message', (message) => {
  if (message.kind === 'adopt') appendFileSync(file('adopted'), process.pid + ' ' + message.place.index + '\\n');
});
process.on('SIGHUP', () => process.send({ kind: 'overMemory', residentBytes: 1 }));`;
    await supervise(program, 3).start();
    const path = join(directory, 'adopted');
    /** Workers that have accepted for the third one, in order. */
    const standIns = (): number[] => {
      const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
      return [...text.matchAll(/^(\d+) 2$/gm)].map(([, pid]) => Number(pid));
    };
    writeFileSync(join(directory, 'broken'), '');
    supervisor.all[2]?.kill();
    await until('another one to accept', () => standIns().length === 1);
    process.kill(standIns()[0] as number, 'SIGKILL');
    await until('another one after its death', () => standIns().length === 2);
    process.kill(standIns()[1] as number, 'SIGHUP');
    await until('another one after its replacement', () => standIns().length === 3);
    assert.deepEqual(restarts.at(-1), 'memory');
    assert.equal(new Set(standIns()).size, 3);
  });
});
