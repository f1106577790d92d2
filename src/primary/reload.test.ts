import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { HipacheError } from '../base/errors.ts';
import type { Config } from '../config/config.ts';
import type { BoundAddresses } from '../processes/bound-addresses.ts';
import type { Plan } from '../processes/plan.ts';
import { Reload, type ReloadParts } from './reload.ts';

type Bound = BoundAddresses['current'];

/** A name in the place of what is bound, or read. */
const bound = (name: string): Bound => [{ key: name }] as unknown as Bound;
const nameOf = (addresses: Bound): string => addresses.map(({ key }) => key).join();

interface Tls {
  readonly name: string;
  close(): void;
}

const config = {} as Config;

describe('a reload', () => {
  let events: string[];
  let inUse: string;
  let isStopping: boolean;
  let reloads: (onFollowed?: () => void) => Promise<boolean>;
  let readTls: () => Tls;
  let bind: () => Promise<Bound>;

  const tlsNamed = (name: string): Tls => ({ name, close: () => void events.push(`close ${name}`) });

  beforeEach(() => {
    events = [];
    inUse = 'before';
    isStopping = false;
    reloads = async (onFollowed) => {
      onFollowed?.();
      return true;
    };
    readTls = () => tlsNamed('new');
    bind = async () => bound('after');
  });

  function run() {
    const parts: ReloadParts<Tls> = {
      addresses: {
        get current() {
          return bound('before');
        },
        bind: () => bind(),
        use: (addresses) => {
          inUse = nameOf(addresses);
        },
        listening: () => void events.push('listening'),
        closeAllBut: (addresses) => void events.push(`keep ${nameOf(addresses)}`),
      },
      workers: {
        get isStopping() {
          return isStopping;
        },
        reload: (_, onFollowed) => {
          events.push(`workers with ${inUse}`);
          return reloads(onFollowed);
        },
      },
      listenAddresses: () => [],
      readTls: () => readTls(),
      plan: () => ({}) as Plan,
      watchTls: ({ name }) => void events.push(`watch ${name}`),
    };
    return new Reload(parts).run(config, tlsNamed('former'));
  }

  test('prepares everything, replaces the workers, which gives up what is no longer used', async () => {
    const { outcome, tls } = await run();
    assert.deepEqual([outcome, tls?.name, inUse], ['done', 'new', 'after']);
    assert.deepEqual(events, ['close former', 'workers with after', 'keep after', 'listening', 'watch new']);
  });

  test('changes nothing if something cannot be prepared, and names every reason', async () => {
    readTls = () => {
      throw new HipacheError('CERTIFICATE_INVALID', 'one');
    };
    bind = () => Promise.reject(new HipacheError('LISTEN_FAILED', 'two'));
    await assert.rejects(run(), /one; two/);
    assert.deepEqual([inUse, events], ['before', ['keep before']]);
  });

  test('is undone if no worker starts with it', async () => {
    reloads = async () => false;
    const { outcome, tls } = await run();
    assert.deepEqual([outcome, tls?.name, inUse], ['refused', 'former', 'before']);
    assert.deepEqual(events, ['close former', 'workers with after', 'keep before', 'watch former']);
  });

  test('is undone if replacing throws', async () => {
    reloads = () => Promise.reject(new TypeError('of a test'));
    await assert.rejects(run(), TypeError);
    assert.deepEqual([inUse, events.at(-1)], ['before', 'watch former']);
  });

  test('ends with the instance if that is to stop', async () => {
    reloads = async () => {
      isStopping = true;
      return false;
    };
    const { outcome, tls } = await run();
    assert.deepEqual([outcome, tls?.name], ['stopping', 'former']);
    assert.doesNotMatch(events.join(), /watch/);
  });
});
