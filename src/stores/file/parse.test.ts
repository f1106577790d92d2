import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FileFormat } from './content.ts';
import { parseRoutesFile } from './parse.ts';

/** The problems as `line:column message`. */
function problemsOf(text: string, format: FileFormat = 'yaml'): string[] {
  return parseRoutesFile(text, format).problems.map(({ line, column, message }) => `${line}:${column} ${message}`);
}

function recordsOf(text: string, format: FileFormat = 'yaml'): unknown {
  const { content } = parseRoutesFile(text, format);
  assert.ok(content);
  return Object.fromEntries([...content.routes].map(([pattern, { record }]) => [pattern, record]));
}

test('routes in both forms, with comments, quotes, anchors and hosts in any case', () => {
  const text = `
# comment
routes:
  Shop.Example.com.:
    id: shop
    backends: &pool
      - http://10.0.0.1:8000
      - "http://10.0.0.2:8000#weight=3"
  "*.example.com": [http://10.0.0.3:8000]
  other.example.com: *pool
  "*": { backends: [] }
`;
  const records = {
    'shop.example.com': ['shop', 'http://10.0.0.1:8000', 'http://10.0.0.2:8000#weight=3'],
    '*.example.com': ['*.example.com', 'http://10.0.0.3:8000'],
    'other.example.com': ['other.example.com', 'http://10.0.0.1:8000', 'http://10.0.0.2:8000#weight=3'],
    '*': ['*'],
  };
  assert.deepEqual(recordsOf(text), records);
  assert.deepEqual(problemsOf(text), []);
  const json = '\uFEFF{\n\t"routes": {\n\t\t"a.example": ["http://10.0.0.1:8000"]\n\t}\n}\r\n'.slice(1);
  assert.deepEqual(recordsOf(json, 'json'), { 'a.example': ['a.example', 'http://10.0.0.1:8000'] });
});

test('a file that is not whole is refused, with the position', () => {
  for (const [text, ...problems] of [
    ['', '1:1 the file is empty; without routes, write "routes: {}"'],
    ['# nothing\n', '1:1 the file is empty; without routes, write "routes: {}"'],
    ['routes:\n', '1:8 "routes" must have hosts as keys; without any, write "routes: {}"'],
    ['routes: []\n', '1:9 "routes" must have hosts as keys; without any, write "routes: {}"'],
    ['- a\n', '1:1 the file must have the key "routes", with a route for each host below it'],
    ['certificates: {}\n', '1:1 the key "routes" is missing; without routes, write "routes: {}"'],
    ['routes: {}\n---\nroutes: {}\n', '2:1 a second document starts here; one is allowed'],
    ['routes: {}\nrouts: {}\n', '2:1 unknown key "routs"; did you mean routes?'],
    [
      'routes:\n  a.example: [http://a\n',
      '3:1 Flow sequence in block collection must be sufficiently indented and end with a ]',
    ],
    [
      'routes:\n  *.example: [http://a]\n  *:\n  - http://a\n',
      '2:3 a host with "*" is written in quotes: "*.example"',
      '3:3 a host with "*" is written in quotes: "*"',
    ],
    [
      'routes:\n  a.example: []\n  b.example: []\n  A.Example: []\n',
      '4:3 routes: the host "a.example" (written "A.Example") is given twice, first in line 2',
    ],
    ['routes:\n  a.example:\n    backends: []\n    backends: []\n', '4:5 the key "backends" is given twice'],
    ['routes: {}\nroutes: {}\n', '2:1 the key "routes" is given twice'],
  ] as const) {
    assert.deepEqual(problemsOf(text), problems, text);
    assert.equal(parseRoutesFile(text, 'yaml').content, null, text);
  }
  assert.deepEqual(problemsOf('{"routes": {"a": [],}}', 'json'), ['1:21 a key in double quotes is expected here']);
  assert.deepEqual(problemsOf('{"routes": {}, # x\n}', 'json'), ['1:16 a key in double quotes is expected here']);
  assert.deepEqual(problemsOf('{\n "routes": {\n  "a": [],\n  "a": []}}', 'json'), ['4:3 the key "a" is given twice']);
});

test('problems of single records are all found, with their positions, and harm no other', () => {
  const text = `routes:
  a.example:
    id: 5
    backend: [http://x]
    backends: [http://10.0.0.1:8000, 7, htp, "http://10.0.0.2:0"]
  b.example: http://10.0.0.1:8000
  c.example: {}
  bad host: [http://10.0.0.1:8000]
  d.example: { backends: { x: y } }
  e.example: [http://10.0.0.1:8000]
certificates:
  a.example: { certificate: a.pem }
  b.example: { certificate: [], key: b.key }
  c.example: c.pem
  d.example: { certificate: d.pem, key: d.key, chain: x }
`;
  assert.deepEqual(problemsOf(text), [
    '3:9 the id is not a text; write it in quotes',
    '4:5 unknown key "backend"; did you mean backends?',
    '5:38 a backend is not a string but a number',
    '5:41 backend "htp": not a URL of the form http://host:port',
    '5:46 backend "http://10.0.0.2:0": the port "0" is not 1 to 65535',
    '6:14 a route is a list of backends, or has the key "backends"',
    '7:14 the key "backends" is missing',
    '8:3 host pattern "bad host": it has a character that no host can have (letters, digits, "-", "_" and "." are allowed); allowed are a host (app.example.com), *.domain (*.example.com) and *',
    '9:26 "backends" must be a list of URLs',
    '12:14 the key "key" is missing',
    '13:29 "certificate" must be the path of a file',
    '14:14 a certificate has the keys "certificate" and "key"',
    '15:48 unknown key "chain"',
  ]);
  const { content } = parseRoutesFile(text, 'yaml');
  assert.deepEqual(content?.routes.get('a.example'), {
    record: ['a.example', 'http://10.0.0.1:8000', 7, 'htp', 'http://10.0.0.2:0'],
    problem: null,
    diagnostics: [
      'line 3, column 9: the id is not a text; write it in quotes',
      'line 4, column 5: unknown key "backend"; did you mean backends?',
    ],
  });
  assert.deepEqual(content?.routes.get('e.example')?.record, ['e.example', 'http://10.0.0.1:8000']);
  assert.equal(content?.routes.get('c.example')?.problem, 'line 7, column 14: the key "backends" is missing');
  assert.deepEqual(content?.certificates.get('d.example'), { certificate: 'd.pem', key: 'd.key', problem: null });
});

test('options are texts, numbers, true, false, or lists of them; wrong ones are skipped with their positions', () => {
  const text = `routes: {}
options:
  Shop.Example.com.:
    requestsMax: 100
    retryFor: 5s
    retryTimeouts: true
    allow: &nets [10.0.0.0/8, 192.168.0.0/16]
    deny: *nets
    empty: ""
  "*.example.com": {}
  a.example: 7
  b.example: { requestsMax: { a: 1 }, tunnelsMax: 3, none: }
  bad host: { requestsMax: 1 }
`;
  const { content } = parseRoutesFile(text, 'yaml');
  assert.deepEqual(problemsOf(text), [
    '11:14 options are names with values, such as "requestsMax: 100"',
    '12:29 options: "requestsMax" is not a text, a number, true, false, or a list of them',
    '12:60 options: "none" is not a text, a number, true, false, or a list of them',
    '13:3 host pattern "bad host": it has a character that no host can have (letters, digits, "-", "_" and "." are allowed); allowed are a host (app.example.com), *.domain (*.example.com) and *',
  ]);
  assert.deepEqual(Object.fromEntries(content?.options.get('shop.example.com')?.options ?? []), {
    allow: '10.0.0.0/8\n192.168.0.0/16',
    deny: '10.0.0.0/8\n192.168.0.0/16',
    empty: '',
    requestsMax: '100',
    retryFor: '5s',
    retryTimeouts: 'true',
  });
  assert.equal(content?.options.has('*.example.com'), false);
  assert.deepEqual(Object.fromEntries(content?.options.get('b.example')?.options ?? []), { tunnelsMax: '3' });
  assert.deepEqual(problemsOf('routes: {}\noptions:\n'), [
    '2:9 "options" must have hosts as keys; without any, write "options: {}"',
  ]);
  assert.deepEqual(problemsOf('routes: {}\noptions: { a.example: { x: 1, x: 2 } }\n'), [
    '2:31 the key "x" is given twice',
  ]);
  const many = Array.from({ length: 201 }, (_, i) => `o${i}: 1`).join(', ');
  assert.deepEqual(problemsOf(`routes: {}\noptions: { a.example: { ${many} } }\n`), [
    '2:12 "a.example" has 201 options; those after the first 200 are skipped',
  ]);
});

test('no message shows the password of a backend', () => {
  const text = 'routes:\n  a.example: ["htp//user:secret@10.0.0.1"]\n  b.example: [http://u:secret@h: 80]\n';
  assert.doesNotMatch(JSON.stringify(parseRoutesFile(text, 'yaml').problems), /secret/);
});
