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

const withOptions = `routes: {}
options:
  # Busy.
  shop.example.com:
    requestsMax: 100   # for the sale
    allow: [10.0.0.0/8, 192.168.0.0/16]   # ours
    wrong: {a: 1}
    note: 'as it is'
  a.example: {tunnelsMax: 3}
# The end.
`;

const setOptions = (
  source: string,
  pattern: string,
  options: Record<string, string> | null,
  format = 'yaml' as const,
) =>
  editRoutesFile(source, format, {
    section: 'options',
    pattern,
    record: options === null ? null : new Map(Object.entries(options)),
  });

test('an edit of options changes their lines alone, and writes numbers as such', () => {
  const options = {
    requestsMax: '200',
    allow: '10.0.0.0/8\n::1',
    note: 'as it is',
    retryTimeouts: 'true',
    retryFor: '5s',
  };
  assert.equal(
    setOptions(withOptions, 'shop.example.com', options),
    withOptions
      .replace('100   #', '200 #')
      .replace('192.168.0.0/16]   #', '::1] #')
      .replace("'as it is'\n", "'as it is'\n    retryTimeouts: true\n    retryFor: 5s\n"),
  );
  assert.equal(
    setOptions(withOptions, 'a.example', { tunnelsMax: '0x10', requestsMax: '1' }),
    withOptions.replace('tunnelsMax: 3', 'tunnelsMax: "0x10", requestsMax: 1'),
  );
  assert.equal(setOptions(withOptions, 'a.example', null), withOptions.replace(/ {2}a\.example.*\n/, ''));
  assert.equal(
    setOptions(withOptions, 'n.example', { retriesMax: '0' }),
    withOptions.replace('tunnelsMax: 3}\n', 'tunnelsMax: 3}\n  n.example:\n    retriesMax: 0\n'),
  );
});

test('the first options get a section at the end, and every other line stays', () => {
  const section = 'options:\n  a.example:\n    requestsMax: 1\n';
  const first = (source: string) => setOptions(source, 'a.example', { requestsMax: '1' });
  assert.equal(first(text), text + section);
  assert.equal(first('routes: {}   # none'), `routes: {}   # none\n${section}`);
  assert.equal(first('routes: {}\r\n'), `routes: {}\r\n${section.replaceAll('\n', '\r\n')}`);
  assert.equal(setOptions(first(text), 'a.example', null), `${text}options: {}\n`);
  assert.equal(setOptions(text, 'a.example', null), text);
  for (const source of ['', '{routes: {}}', 'routes: {}\n...\n']) {
    const { content } = parseRoutesFile(first(source === '' ? 'routes: {}' : source), 'yaml');
    assert.equal(content?.options.get('a.example')?.options.get('requestsMax'), '1', source);
  }
  assert.equal(
    editRoutesFile('{\n  "routes": {}\n}\n', 'json', {
      section: 'options',
      pattern: 'a.example',
      record: new Map([['requestsMax', '1']]),
    }),
    '{\n  "routes": {},\n  "options": {\n    "a.example": {\n      "requestsMax": 1\n    }\n  }\n}\n',
  );
});

test('after any edits of options, the file says what was asked', () => {
  const value = fc.constantFrom(
    '1',
    '1.50',
    '1e3',
    '-0',
    'NaN',
    'true',
    'null',
    '~',
    '',
    ' a',
    'a, b',
    '- x',
    '# y',
    '\n',
    "it's",
  );
  const name = fc.constantFrom('a', 'b', '1', '__proto__', 'x: y', '#z', 'null', '<<');
  const options = fc.option(fc.dictionary(name, value, { minKeys: 1, maxKeys: 4 }));
  const edit = fc.record({ pattern: fc.constantFrom('shop.example.com', 'a.example', '*', '__proto__', '1'), options });
  const start = fc.constantFrom(withOptions, text, 'routes: {}', 'routes: {}\noptions: {}\n', '{"routes": {}}');
  const property = fc.property(start, fc.array(edit, { maxLength: 6 }), (source, edits) => {
    const format = source.startsWith('{') ? 'json' : 'yaml';
    const wanted = new Map(
      [...(parseRoutesFile(source, format).content?.options ?? [])].map(([key, stored]) => [key, stored.options]),
    );
    let edited: string = source;
    for (const { pattern, options: texts } of edits) {
      const record = texts === null ? null : new Map(Object.entries(texts).toSorted(([a], [b]) => (a < b ? -1 : 1)));
      edited = editRoutesFile(edited, format, { section: 'options', pattern, record });
      if (record === null) wanted.delete(pattern);
      else wanted.set(pattern, record);
    }
    const { content } = parseRoutesFile(edited, format);
    assert.ok(content, edited);
    assert.deepEqual(new Map([...content.options].map(([key, stored]) => [key, stored.options])), wanted, edited);
    if (source === withOptions) for (const comment of ['# Busy.', '# The end.']) assert.ok(edited.includes(comment));
  });
  fc.assert(property, { numRuns: 300 });
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

test('a list of backends that is emptied leaves each comment once', () => {
  const source =
    'routes:\n  a.example:\n    id: a\n    backends:\n      - http://a:1\n      # - http://b:1\n\n\n' +
    '  "*.example": [http://c:1]\n# The end.\ncertificates: {}\n';
  const without = editRoutesFile(source, 'yaml', { section: 'routes', pattern: '*.example', record: null });
  const empty = editRoutesFile(without, 'yaml', { section: 'routes', pattern: 'a.example', record: ['a.example'] });
  for (const comment of ['# - http://b:1', '# The end.']) assert.equal(empty.split(comment).length, 2, empty);
  const { content } = parseRoutesFile(empty, 'yaml');
  assert.deepEqual(content?.routes.get('a.example')?.record, ['a.example']);
});
