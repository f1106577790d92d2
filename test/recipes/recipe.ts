import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { findProgram } from '../../scripts/servers.ts';
import { Authority } from '../helpers/authority.ts';
import { HipacheHome } from '../helpers/hipache.ts';
import { ask } from '../helpers/http-client.ts';
import { ServerProcess } from '../helpers/server-process.ts';
import { startOnFreePorts } from '../helpers/start-on-free-ports.ts';

export const schemes = ['http', 'https'] as const;
export type Scheme = (typeof schemes)[number];

/** The address of the client, which is another one than that of Hipache. */
export const clientAddress = '127.0.0.7';

const page = readFileSync(join(import.meta.dirname, '../../docs/recipes.md'), 'utf8');
const startMs = 50_000;

export interface RecipeResponse {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

interface ProgramOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Default: the folder of the recipe. */
  readonly cwd?: string;
}

/** Settings of Hipache that differ from its defaults, so that a test need not wait for these. */
interface ShortLimits {
  readonly server?: Readonly<Record<string, number>>;
  readonly limits?: Readonly<Record<string, number>>;
}

/** One section of docs/recipes.md: its programs, with a Hipache in front of them that serves HTTP and HTTPS. */
export class Recipe {
  readonly authority = new Authority();
  private readonly home = new HipacheHome();
  private readonly programs: ServerProcess[] = [];
  private readonly ports = { http: 0, https: 0 };
  private readonly section: string;

  /** @param heading of the section. */
  constructor(heading: string) {
    const [, section] = page.split(`\n## ${heading}\n`);
    if (section === undefined) throw new Error(`docs/recipes.md has no section "${heading}"`);
    this.section = section.split('\n## ')[0] ?? '';
  }

  /** The code block of the section with this name behind its language. */
  block(name: string): string {
    const [, text] = new RegExp(`^\`\`\`\\w+ ${RegExp.escape(name)}\\n([^]*?)^\`\`\`$`, 'm').exec(this.section) ?? [];
    if (text === undefined) throw new Error(`the section has no block "${name}"`);
    return text;
  }

  path(...names: readonly string[]): string {
    return join(this.home.directory, ...names);
  }

  /** Writes a file into the folder of the recipe. @returns its path. */
  write(name: string, text: string): string {
    const path = this.path(name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return path;
  }

  /** Copies an application of the tests into the folder of the recipe, under the same name. @returns its path. */
  copy(name: string): string {
    cpSync(join(import.meta.dirname, 'applications', name), this.path(name), { recursive: true });
    return this.path(name);
  }

  /**
   * Starts a server on a free port and waits until it responds.
   * @param args gives its arguments for that port. @returns the port.
   */
  async start(program: string, args: (port: number) => readonly string[], options?: ProgramOptions): Promise<number> {
    const server = await startOnFreePorts(1, ([port = 0]) => {
      const running = this.spawn(program, args(port), { ...options, env: { ...options?.env, PORT: String(port) } });
      const responds = () =>
        ask(port, 'app.example').then(
          () => true,
          () => false,
        );
      return { port, start: () => running.ready(responds, startMs), remove: () => running.stop() };
    });
    return server.port;
  }

  /** Starts a program, which ends with the recipe, and waits until it is ready. */
  async launch(
    program: string,
    args: readonly string[],
    isReady: () => boolean | Promise<boolean>,
    options?: ProgramOptions,
  ): Promise<void> {
    await this.spawn(program, args, options).ready(isReady, startMs);
  }

  /** Starts Hipache with these hosts and the ports of their backends. */
  async serve(hosts: Readonly<Record<string, readonly number[]>>, short: ShortLimits = {}): Promise<void> {
    const { certificateFile, keyFile } = this.authority.issue(Object.keys(hosts));
    const https = { bind: [{ address: '127.0.0.1', port: 0, cert: certificateFile, key: keyFile }] };
    this.home.configure({ https, limits: short.limits ?? {} }, { mappedAddresses: false, ...short.server });
    for (const [host, ports] of Object.entries(hosts)) {
      await this.home.route('set', host, ...ports.map((port) => `http://127.0.0.1:${port}`));
    }
    const proxy = await this.home.serve();
    this.ports.http = proxy.port;
    this.ports.https = await proxy.tlsPort();
  }

  /** Runs the commands of a block of the section. */
  async runBlock(name: string): Promise<void> {
    for (const line of this.block(name).trim().split('\n')) {
      const [, ...args] = line.split(' ');
      const { code, stderr } = await this.home.run(...args);
      if (code !== 0) throw new Error(`${line}: ${stderr}`);
    }
  }

  /** The URL of a host as its clients know it, without a path. */
  url(scheme: Scheme, host = 'app.example'): string {
    return `${scheme}://${host}:${this.ports[scheme]}`;
  }

  /** Requests a URL with curl. @param more options of curl. */
  async curl(url: string, ...more: readonly string[]): Promise<RecipeResponse> {
    const { hostname, port } = new URL(url);
    const here = ['--resolve', `${hostname}:${port}:127.0.0.1`, '--cacert', this.authority.certificateFile];
    const options = ['--silent', '--show-error', '--include', '--interface', clientAddress, '--noproxy', '*', ...here];
    const { stdout } = await promisify(execFile)('curl', [...options, ...more, url], {
      maxBuffer: 1 << 28,
      encoding: 'latin1',
    });
    return parse(stdout);
  }

  /** Ends all programs and removes the folder. */
  async stop(): Promise<void> {
    for (const running of this.programs) await running.stop('SIGTERM');
    await this.home.remove();
    this.authority.dispose();
  }

  private spawn(
    program: string,
    args: readonly string[],
    { env, cwd = this.home.directory }: ProgramOptions = {},
  ): ServerProcess {
    const command = [findProgram(program) ?? program, ...args] as const;
    const running = new ServerProcess(command, { cwd, env: { ...process.env, ...env }, withChildren: true });
    this.programs.push(running);
    return running;
  }
}

/** The final one of the responses that curl has printed. */
function parse(text: string): RecipeResponse {
  const end = text.indexOf('\r\n\r\n');
  const [first = '', ...lines] = text.slice(0, end).split('\r\n');
  const status = Number(first.split(' ')[1]);
  if (status < 200) return parse(text.slice(end + 4));
  const headers = new Headers();
  for (const line of lines) headers.append(line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim());
  return { status, headers, body: text.slice(end + 4) };
}
