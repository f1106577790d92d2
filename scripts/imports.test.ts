import assert from 'node:assert/strict';
import { test } from 'node:test';
import { importProblems, importsOf } from './imports.ts';

test('imports of every form are seen, with their line and whether they are only types', () => {
  const text = [
    "import { a } from './a.ts';",
    "import type { B } from './b.ts';",
    'import {',
    '  c,',
    '  type D,',
    "} from './c.ts';",
    "export { e } from './e.ts';",
    "export type { F } from './f.ts';",
    "export * from './g.ts';",
    "import './h.ts';",
    "const i = await import('./i.ts');",
    "// import { no } from './no.ts';",
    "/* import './no.ts'; */",
  ].join('\n');
  const seen = importsOf(text).map(({ specifier, typeOnly }) => `${specifier}${typeOnly ? ' type' : ''}`);
  assert.deepEqual(seen.sort(), [
    './a.ts',
    './b.ts type',
    './c.ts',
    './e.ts',
    './f.ts type',
    './g.ts',
    './h.ts',
    './i.ts',
  ]);
  assert.equal(importsOf(text).find(({ specifier }) => specifier === './c.ts')?.line, 3);
});

test('directions that the rooms do not allow are problems', () => {
  const problems = (path: string, text: string) => importProblems([{ path, text }]).length;
  assert.equal(problems('src/base/a.ts', "import { x } from '../config/x.ts';"), 1);
  assert.equal(problems('src/proxy/a.ts', "import { x } from '../stores/x.ts';"), 1);
  assert.equal(problems('src/proxy/a.ts', "import { x } from '../http1/x.ts';"), 0);
  assert.equal(problems('src/telemetry/a.ts', "import { x } from '../proxy/x.ts';"), 1);
  assert.equal(problems('src/telemetry/a.ts', "import type { X } from '../proxy/x.ts';"), 0);
  assert.equal(problems('src/http1/a.ts', "import { Socket } from 'node:net';"), 1);
  assert.equal(problems('src/routing/a.ts', "import { readFileSync } from 'node:fs';"), 1);
  assert.equal(problems('src/base/a.ts', "import { z } from 'zod';"), 1);
  assert.equal(problems('src/base/a.ts', "import { x } from './a.test.ts';"), 1);
  assert.equal(problems('src/base/a.ts', "import { x } from '../../scripts/files.ts';"), 1);
  assert.equal(problems('src/main.ts', "import { x } from './stores/x.ts';"), 0);
  assert.equal(problems('src/main.ts', "import { x } from './worker/x.ts';"), 1);
  assert.equal(problems('src/mainly.ts', "import { x } from './stores/x.ts';"), 1);
  assert.equal(problems('src/worker/a.ts', "import { x } from '../stores/x.ts';"), 0);
  assert.equal(problems('src/worker/a.ts', "import { x } from '../primary/x.ts';"), 1);
  assert.equal(problems('src/stores/a.ts', "import { x } from '../worker/x.ts';"), 1);
  assert.equal(problems('src/route-cache/a.ts', "import type { X } from '../stores/contract.ts';"), 0);
  assert.equal(problems('src/route-cache/a.ts', "import type { X } from '../stores/drivers.ts';"), 1);
  assert.equal(problems('src/stores/redis/a.ts', "import { x } from '../contract.ts';"), 0);
  assert.equal(problems('src/stores/redis/a.ts', "import { x } from '@redis/client';"), 0);
  assert.equal(problems('src/stores/sqlite/a.ts', "import { x } from '@redis/client';"), 1);
  assert.equal(problems('src/stores/sqlite/a.ts', "import { x } from '../redis/x.ts';"), 1);
  assert.equal(problems('src/stores/a.ts', "import { x } from './redis/x.ts';"), 0);
  assert.equal(problems('src/proxy/server/a.ts', "import { x } from '../backend/x.ts';"), 1);
  assert.equal(problems('src/proxy/server/a.ts', "import { x } from '../exchange.ts';"), 0);
  assert.equal(problems('src/sockets/a.ts', "import { x } from '../http1/x.ts';"), 1);
  assert.equal(problems('src/other/a.ts', "import { x } from '../base/x.ts';"), 1);
  assert.equal(problems('src/base/a.test.ts', "import { x } from '../config/x.ts';"), 0);
});
