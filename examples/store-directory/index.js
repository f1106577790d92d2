// A store for Hipache, as an example of a driver in a package of its own: `directory:/srv/routes` keeps each record in a file
// of that directory, named by its key: `frontend%3Ashop.example` has `["shop.example","http://10.0.0.1:8080"]`.
import { createHash } from 'node:crypto';
import { watch } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** A lock that is older was left by a process that has ended, in ms. */
const staleMs = 10_000;
/** Between two attempts: to lock, and to watch a directory that is away. In ms. */
const lockPauseMs = 5;
const watchPauseMs = 500;

/** @param kit what Hipache gives to drivers: see docs/store.md, "A driver of your own". */
export default function makeDriver(kit) {
  return {
    schemes: ['directory'],
    form: 'directory:PATH',
    describe: (urls) => ({ name: pathOf(kit, urls), files: [], shared: false }),
    async open(urls, options) {
      const path = pathOf(kit, urls);
      if (options.create !== false && !options.serving) await mkdir(path, { recursive: true });
      const store = new DirectoryStore(kit, path);
      if (!options.serving) await store.client.check();
      return store;
    },
  };
}

function pathOf({ HipacheError }, urls) {
  const [url, ...others] = urls;
  const path = url.slice('directory:'.length);
  if (others.length > 0 || !isAbsolute(path)) {
    throw new HipacheError(
      'COMMAND_INVALID',
      `driver: found ${urls.join(', ')}, allowed directory:PATH with an absolute path`,
    );
  }
  return path;
}

class DirectoryStore {
  // Nobody would notice when a file has come to its end, so routes cannot have a time to live.
  capabilities = { changes: 'push', changesPerTransaction: 1, expires: false };
  instances = null;

  constructor(kit, path) {
    this.kit = kit;
    this.path = path;
    this.client = new DirectoryClient(kit, path);
    // Routes, options, marks and more, which Hipache makes of a client that reads, edits and lists texts by key.
    Object.assign(
      this,
      kit.keyValueCollections(this.client, this.capabilities, (key) => join(path, fileOf(key))),
    );
  }

  async watch(listener) {
    this.listener = listener;
    if (!this.follow()) listener.lost(new Error(`${this.path}: cannot be watched`));
  }

  follow() {
    try {
      this.watcher = watch(this.path, (event, file) => this.onEvent(event, file));
      this.watcher.on('error', () => this.lose());
      return true;
    } catch {
      this.retry();
      return false;
    }
  }

  onEvent(_event, file) {
    if (file === null) return this.listener.expired();
    const [, kind, pattern] = /^([^.].*?):(.*)$/s.exec(decodeURIComponent(file)) ?? [];
    const collection = this.kit.collectionOf[kind];
    if (collection !== undefined) this.listener.changed(collection, [pattern]);
    // The directory itself is gone, or another one has taken its place.
    else if (kind === undefined && !file.startsWith('.')) this.lose();
  }

  lose() {
    this.watcher.close();
    this.listener.lost(new Error(`${this.path}: is not watched any more`));
    this.retry();
  }

  retry() {
    this.timer = setTimeout(() => this.follow() && this.listener.restored(), watchPauseMs);
  }

  async close() {
    this.client.closed = true;
    clearTimeout(this.timer);
    this.watcher?.close();
  }
}

/** Texts by key. */
class DirectoryClient {
  closed = false;

  constructor({ HipacheError }, path) {
    this.path = path;
    this.fail = (error) => {
      throw new HipacheError('STORE_UNAVAILABLE', `${path}: ${error.message}`, { cause: error });
    };
  }

  async check() {
    if (this.closed) this.fail(new Error('the store was closed'));
    await stat(this.path).catch(this.fail);
  }

  async read(keys) {
    await this.check();
    return Promise.all(keys.map((key) => this.readOne(key)));
  }

  async run({ keys, decide }) {
    await this.check();
    const lock = join(this.path, '.lock');
    await this.lock(lock);
    try {
      const { writes, result } = decide(await this.read(keys));
      for (const write of writes) await this.write(write).catch(this.fail);
      return result;
    } finally {
      await rm(lock, { recursive: true, force: true });
    }
  }

  async list(kind, after, limit) {
    await this.check();
    const names = await readdir(this.path).catch(this.fail);
    const patterns = names
      .map((name) => decodeURIComponent(name))
      .filter((key) => key.startsWith(`${kind}:`))
      .map((key) => key.slice(kind.length + 1))
      .filter((pattern) => pattern > after)
      .sort()
      .slice(0, limit);
    const values = await Promise.all(patterns.map((pattern) => this.readOne(`${kind}:${pattern}`)));
    return patterns.map((pattern, i) => ({ pattern, value: values[i] })).filter(({ value }) => value !== null);
  }

  /** A text that does not last has the time of its end in a second line. */
  async readOne(key) {
    const text = await readFile(join(this.path, fileOf(key)), 'utf8').catch((error) => {
      if (error.code !== 'ENOENT') this.fail(error);
      return null;
    });
    const [value = null, until = 'Infinity'] = text?.split('\n') ?? [];
    return value !== '' && Number(until || 'Infinity') > Date.now() ? value : null;
  }

  async write({ key, value, ttlMs }) {
    const file = join(this.path, fileOf(key));
    if (value === null) return rm(file, { force: true });
    const next = join(this.path, `.${process.pid}`);
    await writeFile(next, ttlMs === undefined ? value : `${value}\n${Date.now() + ttlMs}`);
    await rename(next, file);
  }

  async lock(path) {
    for (;;) {
      const error = await mkdir(path).catch((reason) => reason);
      if (error === undefined) return;
      if (error.code !== 'EEXIST') this.fail(error);
      const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Date.now() }));
      if (Date.now() - mtimeMs > staleMs) await rm(path, { recursive: true, force: true });
      await delay(lockPauseMs);
    }
  }
}

/** Names of notes can be too long for a file, and are not listed. */
function fileOf(key) {
  const name = encodeURIComponent(key);
  if (name.length <= 255 || !key.startsWith('hipache:note:')) return name;
  return encodeURIComponent(`hipache:note:${createHash('sha256').update(key).digest('hex')}`);
}
