import { EtcdServer } from '../../../test/helpers/etcd-server.ts';
import { describeStore, type StoreLocation } from '../contract.suite.ts';
import { type EtcdStoreOptions, openEtcd } from './etcd-store.ts';

/** A place for the contract's suite. @param prefix as it stands before the keys. */
function location(
  server: EtcdServer,
  urls: readonly string[],
  prefix = '/',
  store: EtcdStoreOptions = {},
): StoreLocation {
  const put = async (key: string, value: string): Promise<void> => void (await server.ctl('put', prefix + key, value));
  return {
    open: () => openEtcd(urls, store),
    writeRaw: (pattern, record) => put(`frontend:${pattern}`, JSON.stringify(record)),
    oddElements: true,
    changes: 'push',
    writeBroken: ['text', '{"id": "http://a:1"}', '"http://a:1"', '[', '7'].map(
      (value) => (pattern: string) => put(`frontend:${pattern}`, value),
    ),
    writeBrokenCertificate: [
      'text',
      '[]',
      '{"certificate": "alone"}',
      '{"key": "alone"}',
      '{"certificate": 1, "key": 2}',
    ].map((value) => (pattern: string) => put(`tls:${pattern}`, value)),
    writeRawOption: (pattern, name, value) => put(`options:${pattern}`, JSON.stringify({ [name]: value })),
    writeBrokenOptions: ['text', '[]', '"text"', '{"balance": {}}', ''].map(
      (value) => (pattern: string) => put(`options:${pattern}`, value),
    ),
    dispose: () => server.remove(),
  };
}

describeStore('etcd', async () => {
  const server = await EtcdServer.start();
  return location(server, server.urls);
});

describeStore('etcd, three members, with a prefix, as a proxy opens it', async () => {
  const server = await EtcdServer.start({ members: 3 });
  return location(
    server,
    server.urls.map((url) => `${url}/#a*[:`),
    '/a*[:',
    { serving: true },
  );
});
