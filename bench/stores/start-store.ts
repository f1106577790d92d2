import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { freePorts } from '../ports.ts';
import type { Site } from '../site.ts';
import { startEtcd } from './etcd.ts';
import { startRedis } from './redis.ts';
import { startZooKeeper } from './zookeeper.ts';

export type StoreKind = 'sqlite' | 'redis' | 'etcd' | 'zookeeper';

/** A store of this run, empty at first. */
export interface RunningStore {
  readonly url: string;
  /** Of its server, null where it is a file. */
  readonly pid: number | null;
  stop(): Promise<void>;
}

/** What a server of a store is given: a name that no other process of the run has, a port, and an empty directory. */
export interface StorePlan {
  readonly name: string;
  readonly port: number;
  readonly directory: string;
}

let started = 0;

/** Starts a store of its own. Its server, if it has one, is on the load's core, and waits for no disk. */
export async function startStore(site: Site, kind: StoreKind, label: string): Promise<RunningStore> {
  const name = `${label}-${kind}-${++started}`;
  const directory = join(site.directory, name);
  mkdirSync(directory);
  if (kind === 'sqlite') return { url: `sqlite:${join(directory, 'routes.db')}`, pid: null, stop: async () => {} };
  const [port = 0] = await freePorts(1);
  const server = await servers[kind](site, { name, port, directory });
  return { url: `${kind}://127.0.0.1:${port}`, pid: server.pid, stop: () => server.stop() };
}

const servers = { redis: startRedis, etcd: startEtcd, zookeeper: startZooKeeper };
