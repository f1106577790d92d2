import { describeStore, type StoreLocation } from '../contract.suite.ts';
import { FilePlaces } from './file.suite.ts';

function location(name: string, text: string | undefined, serving: boolean): StoreLocation {
  const place = new FilePlaces(name, text);
  return {
    open: () => place.open({ serving }),
    writeRaw: async (pattern, [id, ...backends]) => place.put('routes', pattern, { id, backends }),
    findsDue: false,
    oddElements: false,
    changes: 'poll',
    writeBroken: ['text', 7, null, {}, { id: 'x' }, { backends: 'http://a:1' }, { backends: { a: 1 } }].map(
      (value) => async (pattern: string) => place.put('routes', pattern, value),
    ),
    writeBrokenCertificate: [
      'text',
      [],
      { certificate: 'alone' },
      { certificate: 'absent.pem', key: 'absent.key' },
    ].map((value) => async (pattern: string) => place.put('certificates', pattern, value)),
    writeCertificate: async (pattern, pair) => place.putCertificate(pattern, pair),
    writeRawOption: async (pattern, name, value) => place.put('options', pattern, { [name]: value }),
    writeBrokenOptions: ['text', 7, null, [], { balance: {} }, { balance: null }, { balance: [[]] }].map(
      (value) => async (pattern: string) => place.put('options', pattern, value),
    ),
    dispose: () => place.remove(),
  };
}

describeStore('a YAML file, not there before', async () => location('routes.yaml', undefined, false));
describeStore('a YAML file, as a proxy opens it', async () => location('routes.yaml', 'routes: {}\n', true));
describeStore('a JSON file', async () => location('routes.json', '{\n  "routes": {}\n}\n', false));
