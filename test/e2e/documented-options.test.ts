import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { HipacheHome, program } from '../helpers/hipache.ts';

/** Pages whose examples are run, each in a store of its own, from the top to the end. */
const pages = [
  'options',
  'backends',
  'balancing',
  'paths',
  'limits',
  'sleep',
  'access',
  'redirects',
  'maintenance',
  'fields',
  'health',
  'websockets',
  'error-pages',
];
const docs = fileURLToPath(new URL('../../docs', import.meta.url));

interface Example {
  readonly command: string;
  /** What it prints; `…` stands for any text within a line. */
  readonly output: string;
}

/** The commands of the blocks of a page that show a terminal. */
function examplesOf(text: string): Example[] {
  const blocks = [...text.matchAll(/^```console\n([\s\S]*?)^```$/gm)].map(([, block = '']) => block);
  return blocks.flatMap((block) =>
    block.split(/^\$ /m).flatMap((entry) => {
      const [command = '', ...lines] = entry.split('\n');
      return command === '' ? [] : [{ command, output: lines.join('\n') }];
    }),
  );
}

for (const page of pages) {
  describe(`docs/${page}.md`, () => {
    it('shows commands with what they print', async (t) => {
      const home = new HipacheHome();
      t.after(() => home.remove());
      home.configure();
      writeFileSync(home.path('password.txt'), 'secret\n');
      const examples = examplesOf(readFileSync(`${docs}/${page}.md`, 'utf8'));
      assert.ok(examples.length > 0);
      for (const { command, output } of examples) {
        const printed = await run(command, home);
        const pattern = output.split('…').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
        assert.match(printed, new RegExp(`^${pattern.join('.*')}$`), command);
      }
    });
  });
}

/** @returns what a command of a shell prints, on both outputs. */
function run(command: string, home: HipacheHome): Promise<string> {
  const env = { ...process.env, PATH: `${dirname(program)}:${process.env['PATH']}` };
  const withConfig = command.replace(/^hipache /, `hipache --config ${home.path('config.json')} `);
  return new Promise((resolve) => {
    execFile('bash', ['-c', withConfig], { cwd: home.directory, env }, (_error, stdout, stderr) => {
      resolve(`${stderr}${stdout}`);
    });
  });
}
