import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { freePort } from '../helpers/free-port.ts';
import { longCase } from '../helpers/long-case.ts';
import { OutageRig } from '../helpers/outage-rig.ts';
import { privilegedCase } from '../helpers/privileged-case.ts';
import { RedisServer } from '../helpers/redis-server.ts';
import { SmallDisk } from '../helpers/small-disk.ts';
import { until } from '../helpers/until.ts';

describe('two instances whose SQLite file is on a full disk', { timeout: 300_000, ...privilegedCase }, () => {
  it('serve, say why they write nothing, and write again when there is room', async (t) => {
    const disk = new SmallDisk(4 << 20);
    t.after(() => disk.remove());
    const rig = await OutageRig.start({ driver: `sqlite:${disk.path('routes.sqlite')}` });
    t.after(() => rig.stop());
    const { home } = rig.first;
    const dead = `http://127.0.0.1:${await freePort()}`;
    await home.route('set', 'half.example', dead, rig.one.url);
    disk.fill();
    // The write-ahead log has room of its own, which is used up at some time.
    const many = Array.from({ length: 500 }, (_, index) => `http://backend-${index}.example:8000`);
    let refusal = '';
    await until('a write to be refused', async () => {
      const { code, stderr } = await home.run('route', 'set', 'large.example', ...many);
      refusal = stderr;
      return code !== 0;
    });
    assert.match(refusal, /the disk is full; the change was not made\..* free space and try again/);
    assert.equal((await home.run('route', 'set', 'large.example', ...many)).code, 1);
    // The mark of the dead backend cannot be written, at least not by all.
    for (const { clients } of rig.instances) {
      for (let count = 0; count < 10; count++) assert.deepEqual(await clients.bodies('half.example'), ['one', 'one']);
    }
    await rig.assertServing();
    disk.empty();
    await home.route('set', 'app0.example', rig.two.url, '--wait=30');
    await home.route('set', 'large.example', ...many);
    await rig.assertRecovered('app0.example');
  });
});

describe('two instances whose snapshots are on a full disk', privilegedCase, () => {
  it('serve, say so, and write them when there is room', longCase, async (t) => {
    const disk = new SmallDisk(4 << 20);
    t.after(() => disk.remove());
    const server = await RedisServer.start();
    t.after(() => server.remove());
    const rig = await OutageRig.start({ driver: server.url, server: { snapshotDirectory: disk.directory } });
    t.after(() => rig.stop());
    const snapshot = (): string => readdirSync(disk.directory).find((name) => /^snapshot-.*\.sqlite$/.test(name)) ?? '';
    await until('the snapshot', () => countRecords(disk.path(snapshot())) >= rig.hosts.length);
    disk.fill();
    // Changes until the write-ahead log has used up its room.
    const says = (): boolean =>
      rig.instances.every(({ proxy }) => /the snapshot cannot be written.*full/.test(proxy.output));
    for (let count = 0; !says(); count++) {
      assert.ok(count < 5000, 'no write was refused');
      await server.cli('rpush', `frontend:new${count}.example`, 'x'.repeat(20_000), rig.one.url);
      for (const { clients } of rig.instances) await clients.untilAll(`new${count}.example`, 'one');
    }
    await rig.assertServing();
    await server.cli('rpush', 'frontend:last.example', 'last', rig.one.url);
    for (const { clients } of rig.instances) await clients.untilAll('last.example', 'one');
    disk.empty();
    // An instance tries again a minute after it has failed.
    await until(
      'the snapshot to have the last record',
      () => hasRecord(disk.path(snapshot()), 'last.example'),
      120_000,
    );
    await rig.assertServing();
    await rig.assertRecovered();
  });
});

function countRecords(path: string): number {
  return query(path, 'SELECT count(*) AS result FROM records');
}

function hasRecord(path: string, host: string): boolean {
  return query(path, `SELECT count(*) AS result FROM records WHERE key LIKE '%${host}'`) > 0;
}

function query(path: string, sql: string): number {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    return Number(database.prepare(sql).get()?.['result']);
  } finally {
    database.close();
  }
}
