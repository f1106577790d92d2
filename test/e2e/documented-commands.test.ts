import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Authority } from '../helpers/authority.ts';
import { HipacheHome, program } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { until } from '../helpers/until.ts';

/** Pages whose examples are run, each in a store of its own, from the top to the end. */
const pages = [
  'access-log',
  'deploys',
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
/** The backends of pages whose examples ask them. Two instances of two workers then serve. */
const liveBackends: Readonly<Record<string, readonly string[]>> = { deploys: ['10.0.0.8:8000', '10.0.0.9:8000'] };
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
      const authority = new Authority();
      t.after(() => authority.dispose());
      t.after(() => home.remove());
      home.configure({}, { workers: 2 });
      writeFileSync(home.path('password.txt'), 'secret\n');
      writeFileSync(home.path('authorities.pem'), authority.certificate);
      const live = liveBackends[page] ?? [];
      const backends = await Promise.all(live.map((name) => HttpBackend.start(name)));
      t.after(() => Promise.all(backends.map((backend) => backend.stop())));
      const real = live.map((shown, i) => [shown, `127.0.0.1:${backends[i]?.port}`] as const);
      if (live.length > 0) await serveTwice(home);
      const examples = examplesOf(readFileSync(`${docs}/${page}.md`, 'utf8'));
      assert.ok(examples.length > 0);
      for (const { command, output } of examples) {
        const asked = real.reduce((text, [shown, address]) => text.replaceAll(shown, address), command);
        const answer = await run(asked, home);
        const printed = real.reduce((text, [shown, address]) => text.replaceAll(address, shown), answer);
        const pattern = output.split('…').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
        assert.match(printed, new RegExp(`^${pattern.join('.*')}$`), command);
      }
    });
  });
}

/** Resolves once commands find two instances. */
async function serveTwice(home: HipacheHome): Promise<void> {
  await Promise.all([home.serve(), home.serve()]);
  const instances = async () => JSON.parse((await home.run('fleet', '--json')).stdout).instances.length;
  await until('both instances in the fleet', async () => (await instances()) === 2);
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
