import { ZooKeeperServer } from '../../../test/helpers/zookeeper-server.ts';
import { describeStore, type StoreLocation } from '../contract.suite.ts';
import { parseZooKeeperUrls } from './endpoints.ts';
import { ZooKeeperKeys } from './keys.ts';
import { opCode, openAcl, writeOperation } from './protocol.ts';
import { defaultZooKeeperTimings, ZooKeeperSession } from './session.ts';
import { openZooKeeper } from './zookeeper-store.ts';

/** A place for the contract's suite. @param path and prefix as they stand in the URL. */
async function location(count: number, path = '', serving = false): Promise<StoreLocation> {
  const server = await ZooKeeperServer.start(count);
  const url = server.url + path;
  const ensemble = parseZooKeeperUrls([url]);
  const keys = new ZooKeeperKeys(ensemble.root);
  const ignore = (): void => {};
  const hand = new ZooKeeperSession(ensemble, defaultZooKeeperTimings, {
    ready: ignore,
    lost: ignore,
    failed: ignore,
    changed: ignore,
  });
  await hand.attempted();
  const make = async (name: string, data: Buffer): Promise<void> => {
    const operation = { kind: 'create', path: name, data, acl: openAcl } as const;
    await hand.send(opCode.create, (writer) => writeOperation(writer, operation));
  };
  /** As another program does. */
  const put = async (name: string, value: string): Promise<void> => {
    for (const above of keys.parentsOf(name)) await make(above, Buffer.alloc(0));
    await make(name, Buffer.from(value));
    await hand.send(opCode.setData, (writer) => writer.text(name).buffer(Buffer.from(value)).int(-1));
  };
  return {
    open: () => openZooKeeper([url], { serving }),
    writeRaw: (pattern, record) => put(keys.of(`frontend:${pattern}`), JSON.stringify(record)),
    oddElements: true,
    changes: 'push',
    writeBroken: ['text', '{"id": "http://a:1"}', ''].map(
      (value) => (pattern: string) => put(keys.of(`frontend:${pattern}`), value),
    ),
    writeBrokenCertificate: ['text', '{"certificate": "alone"}'].map(
      (value) => (pattern: string) => put(keys.of(`tls:${pattern}`), value),
    ),
    writeRawOption: (pattern, name, value) => put(keys.of(`options:${pattern}`), JSON.stringify({ [name]: value })),
    writeBrokenOptions: ['text', '[]', '"text"', '{"balance": {}}', ''].map(
      (value) => (pattern: string) => put(keys.of(`options:${pattern}`), value),
    ),
    async dispose() {
      hand.close();
      await server.remove();
    },
  };
}

describeStore('zookeeper', () => location(1));

describeStore('zookeeper, with a chroot and a prefix, as a proxy opens it', () => location(1, '/a/b#c', true));
