import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServerProcess } from './server-process.ts';
import { startOnFreePorts } from './start-on-free-ports.ts';

/** Of a query: its value by the labels of its series. */
export interface QueryResult {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A rule as Prometheus has loaded it. */
export interface LoadedRule {
  readonly name: string;
  readonly health: string;
  readonly lastError?: string;
  readonly annotations: Readonly<Record<string, string>>;
}

/** A Prometheus with a configuration of ours, which scrapes one instance every second. */
export class PrometheusServer {
  private readonly directory = mkdtempSync(join(tmpdir(), 'hipache-prometheus-'));
  private readonly port: number;
  private readonly examples: string;
  private readonly target: string;
  private running: ServerProcess | null = null;

  private constructor(port: number, examples: string, target: string) {
    this.port = port;
    this.examples = examples;
    this.target = target;
  }

  /** @param examples the folder of prometheus.yml and its rules. @param target `address:port` that it scrapes. */
  static start(examples: string, target: string): Promise<PrometheusServer> {
    return startOnFreePorts(1, ([port = 0]) => new PrometheusServer(port, examples, target));
  }

  async start(): Promise<void> {
    const { directory, examples, port, target } = this;
    cpSync(examples, directory, { recursive: true });
    const file = join(directory, 'prometheus.yml');
    writeFileSync(file, this.shortened(readFileSync(file, 'utf8'), target));
    const running = new ServerProcess([
      'prometheus',
      `--config.file=${file}`,
      `--storage.tsdb.path=${join(directory, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ]);
    this.running = running;
    await running.ready(async () => {
      const response = await fetch(`http://127.0.0.1:${port}/-/ready`).catch(() => null);
      return response?.ok === true;
    });
  }

  /** @throws with Prometheus' message if it refuses the query. */
  async query(expression: string): Promise<readonly QueryResult[]> {
    const { result } = (await this.get(`query?query=${encodeURIComponent(expression)}`)) as {
      result: { metric: Record<string, string>; value: [number, string] }[];
    };
    return result.map(({ metric, value: [, value] }) => ({ labels: metric, value: Number(value) }));
  }

  async rules(): Promise<readonly LoadedRule[]> {
    const { groups } = (await this.get('rules')) as { groups: { rules: LoadedRule[] }[] };
    return groups.flatMap(({ rules }) => rules);
  }

  async remove(): Promise<void> {
    await this.running?.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** The same with another target, and no wait of a quarter of a minute. */
  private shortened(text: string, target: string): string {
    const changed = text.replace('127.0.0.1:9180', target).replaceAll(/(_interval): 15s/g, '$1: 1s');
    if (!changed.includes(target) || changed.includes('15s')) throw new Error(`an unexpected prometheus.yml: ${text}`);
    return changed;
  }

  private async get(path: string): Promise<unknown> {
    const response = await fetch(`http://127.0.0.1:${this.port}/api/v1/${path}`);
    const { data, error } = (await response.json()) as { data?: unknown; error?: string };
    if (data === undefined) throw new Error(`${decodeURIComponent(path)}: ${error}`);
    return data;
  }
}
