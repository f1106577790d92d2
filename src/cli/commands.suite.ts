import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { after } from 'node:test';
import { ErrorCollector } from '../base/error-collector.ts';
import { openStore } from '../stores/open-store.ts';
import { runCommandLine } from './command-line.ts';

export const folder = mkdtempSync(join(tmpdir(), 'hipache-changes-'));
after(() => rmSync(folder, { recursive: true, force: true }));
let stores = 0;

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs commands on one store. */
export class Commands {
  private readonly where: readonly string[];

  /** @param where `--driver` or `--admin` with its value; default: a new SQLite file. */
  constructor(where: readonly string[] = ['--driver', `sqlite:${join(folder, `${stores++}.sqlite`)}`]) {
    this.where = where;
  }

  /** Writes a file beside which commands run. @returns its name. */
  write(name: string, text: string): string {
    writeFileSync(join(folder, name), text);
    return name;
  }

  async run(args: readonly string[], stdin = ''): Promise<Ran> {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const texts = Promise.all([stdout, stderr].map((stream) => stream.setEncoding('utf8').toArray()));
    const code = await runCommandLine([...this.where, ...args], {
      serve: async () => 0,
      check: async ({ warnings }) => ({ warnings, errors: new ErrorCollector() }),
      openStore,
      stdin: Readable.from([stdin]),
      stdout,
      stderr,
      env: {},
      cwd: folder,
    });
    stdout.end();
    stderr.end();
    const [out = [], err = []] = await texts;
    return { code, out: out.join(''), err: err.join('') };
  }
}
