import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { editRoutesFile } from './edit-text.ts';
import { parseRoutesFile } from './parse.ts';

const text = `# The routes of the shop.

routes:
  # Open to all.
  shop.example.com:
    id: shop
    backends:
      - http://10.0.0.1:8000   # old
      - 'http://10.0.0.2:8000#weight=3'   # new
      # - http://10.0.0.9:8000


  "*.example.com": [http://10.0.0.3:8000,http://10.0.0.4:8000]   # short
# The end.
certificates:
  shop.example.com: { certificate: certs/shop.pem, key: certs/shop.key }
`;

const set = (source: string, pattern: string, ...record: string[]) =>
  editRoutesFile(source, 'yaml', { section: 'routes', pattern, record });
const remove = (source: string, pattern: string) =>
  editRoutesFile(source, 'yaml', { section: 'routes', pattern, record: null });

test('an edit changes the lines of its record alone; comments, order and quotes stay', () => {
  assert.equal(
    set(
      text,
      'shop.example.com',
      'shop',
      'http://10.0.0.1:8000#weight=2',
      'http://10.0.0.2:8000#weight=3',
      'http://n:1',
    ),
    text
      .replace('http://10.0.0.1:8000   # old', 'http://10.0.0.1:8000#weight=2 # old')
      .replace("weight=3'   # new", "weight=3' # new\n      - http://n:1"),
  );
  assert.equal(
    set(text, '*.example.com', '*.example.com', 'http://10.0.0.4:8000'),
    text.replace('[http://10.0.0.3:8000,http://10.0.0.4:8000]   #', '[http://10.0.0.4:8000] #'),
  );
  assert.equal(
    set(text, '*.example.com', 'wild', 'http://10.0.0.4:8000'),
    text.replace(
      '"*.example.com": [http://10.0.0.3:8000,http://10.0.0.4:8000]   #',
      '"*.example.com":\n    id: wild\n    backends: [http://10.0.0.4:8000] #',
    ),
  );
  assert.equal(
    set(text, 'new.example.com', 'new.example.com', 'http://n:1'),
    text.replace('# short\n', '# short\n  new.example.com:\n    - http://n:1\n'),
  );
  assert.equal(remove(text, '*.example.com'), text.replace(/ {2}"\*.*\n/, ''));
  assert.equal(remove(text, 'absent.example.com'), text);
  assert.equal(
    editRoutesFile(text, 'yaml', { section: 'certificates', pattern: 'shop.example.com', record: null }),
    text.replace(/certificates:\n.*\n$/, 'certificates: {}\n'),
  );
});

test('a file without routes gets its first, and loses its last', () => {
  const one = 'routes:\n  "*.a.example":\n    id: x\n    backends:\n      - http://a:1\n';
  assert.equal(set('', '*.a.example', 'x', 'http://a:1'), one);
  assert.equal(set('routes: {}\n', '*.a.example', 'x', 'http://a:1'), one);
  assert.equal(remove(one, '*.a.example'), 'routes: {}\n');
  assert.equal(set('# c\nroutes: {}   # d', 'a.example', 'a.example'), '# c\nroutes:\n  a.example: []   # d');
  assert.equal(set('routes:\r\n  a: [http://a:1]', 'b', 'b'), 'routes:\r\n  a: [http://a:1]\r\n  b: []\r\n');
});

test('JSON keeps its indentation, its order and its lists on one line', () => {
  const json =
    '{\n\t"routes": {\n\t\t"a": ["http://a:1", "http://b:1"],\n\t\t"b": {\n\t\t\t"id": "q",\n\t\t\t"backends": [\n\t\t\t\t"http://z:1"\n\t\t\t]\n\t\t}\n\t}\n}\n';
  const edit = (source: string, pattern: string, record: string[] | null) =>
    editRoutesFile(source, 'json', { section: 'routes', pattern, record });
  assert.equal(edit(json, 'a', ['a', 'http://b:1']), json.replace('"http://a:1", ', ''));
  assert.equal(edit(json, 'b', ['q', 'http://z:1', 'http://y:1']), json.replace('z:1"', 'z:1",\n\t\t\t\t"http://y:1"'));
  assert.equal(
    edit('{"routes": {}}', '__proto__', ['x', 'y']),
    '{"routes": {"__proto__": {"id": "x", "backends": ["y"]}}}',
  );
  assert.equal(edit('', 'a', ['a']), '{\n  "routes": {\n    "a": []\n  }\n}\n');
});

test('after any edits, the file says what was asked, and nothing else has changed', () => {
  const url = fc.constantFrom(
    'http://a:1',
    'http://b:1#weight=2',
    'http://c:1',
    '',
    '- x',
    '# y',
    'z: [',
    "it's",
    '\n',
  );
  const pattern = fc.constantFrom(
    'shop.example.com',
    '*.example.com',
    '*',
    'n.example',
    '__proto__',
    '1',
    'null',
    'x: y',
    '#z',
  );
  const edit = fc.record({ pattern, id: fc.option(url), urls: fc.option(fc.array(url, { maxLength: 4 })) });
  const start = fc.constantFrom(
    text,
    text.replaceAll('\n', '\r\n'),
    text.replaceAll('  ', '    '),
    'routes: {}',
    'routes: {a: [x]}',
  );
  const property = fc.property(start, fc.array(edit, { maxLength: 6 }), (source, edits) => {
    let yaml = source;
    let json = '{"routes": {}}';
    const records = new Map(
      [...(parseRoutesFile(yaml, 'yaml').content?.routes ?? [])].map(([key, { record }]) => [key, record]),
    );
    const jsonRecords = new Map<string, readonly unknown[]>();
    for (const { pattern: key, id, urls } of edits) {
      const record = urls === null ? null : [id ?? key, ...urls];
      yaml = editRoutesFile(yaml, 'yaml', { section: 'routes', pattern: key, record });
      json = editRoutesFile(json, 'json', { section: 'routes', pattern: key, record });
      for (const map of [records, jsonRecords]) {
        if (record === null) map.delete(key);
        else map.set(key, record);
      }
    }
    for (const [format, edited, wanted] of [
      ['yaml', yaml, records],
      ['json', json, jsonRecords],
    ] as const) {
      const { content } = parseRoutesFile(edited, format);
      assert.ok(content, edited);
      assert.deepEqual(new Map([...content.routes].map(([key, { record }]) => [key, record])), wanted, edited);
    }
    if (source === text)
      for (const comment of ['# The routes of the shop.', '# Open to all.', '# The end.'])
        assert.ok(yaml.includes(comment), yaml);
  });
  fc.assert(property, { numRuns: 300 });
});
