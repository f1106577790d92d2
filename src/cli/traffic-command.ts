import type { Readable, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import { HipacheError } from '../base/errors.ts';
import type { InputOf } from '../operations/catalogue.ts';
import { statisticsOrders } from '../operations/statistics.ts';
import type { CommandContext } from './command-context.ts';
import { hostStatisticsReport, loadReport, statisticsReport } from './traffic.ts';

type TrafficOrder = NonNullable<InputOf<'listTraffic'>['order']>;

/** Between two looks, in ms. */
const everyMs = 2000;
/** Lines of the screen that show no host. */
const otherLines = 5;

/** Keys of `top`, by what they sort. */
const keys: Readonly<Record<string, TrafficOrder>> = {
  r: 'rate',
  e: 'errors',
  l: 'latency',
  b: 'bytes',
  t: 'requests',
  n: 'last',
};

const enterScreen = '\x1b[?1049h\x1b[?25l';
const leaveScreen = '\x1b[?25h\x1b[?1049l';
const clearScreen = '\x1b[H\x1b[J';

/** Adds `stats` and `top` to the program. */
export function describeTraffic(program: Command, context: CommandContext): void {
  const { now, options, run } = context;
  program
    .command('stats')
    .description(
      'show the traffic of a host and its backends, on one instance; without a host, the last hour of the fleet',
    )
    .argument('[host]', 'a host, *.domain or *, with the prefix of a path or not: example.com/api')
    .option('--json', 'write one JSON object')
    .action((host?: string) =>
      host === undefined
        ? run('showLoad', {}, loadReport)
        : run('showTraffic', { host }, (statistics) => hostStatisticsReport(statistics, now())),
    );
  program
    .command('top')
    .description('show the hosts with the most traffic on one instance, live on a terminal')
    .option('--sort <order>', `one of ${statisticsOrders.join(', ')}; default: rate`)
    .option('--limit <count>', 'hosts that are shown; default: 50, or as many as fit')
    .option('--once', 'show them once; this is so without a terminal')
    .option('--json', 'write one JSON object, once')
    .action(() => {
      const { json = false, limit = '50', once = false, sort = 'rate' } = options();
      const order = statisticsOrders.find((each) => each === sort);
      if (order === undefined) {
        throw new HipacheError(
          'COMMAND_INVALID',
          `--sort: found ${JSON.stringify(sort)}, allowed ${statisticsOrders.join(', ')}`,
        );
      }
      if (!/^[1-9]\d{0,2}$/.test(limit)) {
        throw new HipacheError('COMMAND_INVALID', `--limit: found ${JSON.stringify(limit)}, allowed 1 to 999`);
      }
      const { stdin, stdout } = context.host;
      if (json || once || !isTerminal(stdout)) {
        return run('listTraffic', { order, limit: Number(limit) }, (found) => statisticsReport(found, now()));
      }
      return new Screen(context, stdout, stdin ?? process.stdin, order).run();
    });
}

/** A stream that is a terminal. */
interface Terminal extends Writable {
  readonly isTTY?: boolean;
  readonly rows?: number;
  readonly columns?: number;
}

function isTerminal(stream: Terminal): boolean {
  return stream.isTTY === true;
}

/** The table, again and again, until a key or a signal ends it. */
class Screen {
  private readonly context: CommandContext;
  private readonly out: Terminal;
  private readonly input: Readable & { setRawMode?(raw: boolean): void };
  private order: TrafficOrder;
  private wake: () => void = () => {};
  private isOver = false;

  constructor(context: CommandContext, out: Terminal, input: Readable, order: TrafficOrder) {
    this.context = context;
    this.out = out;
    this.input = input;
    this.order = order;
  }

  async run(): Promise<void> {
    const { input, out } = this;
    const onKey = (bytes: Buffer): void => this.key(bytes.toString('latin1'));
    const stop = (): void => this.end();
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
    for (const signal of signals) process.once(signal, stop);
    const resized = (): void => this.wake();
    out.on('resize', resized);
    out.write(enterScreen);
    input.setRawMode?.(true);
    input.on('data', onKey);
    try {
      while (!this.isOver) {
        await this.draw();
        await this.pause();
      }
    } finally {
      out.off('resize', resized);
      input.off('data', onKey);
      input.setRawMode?.(false);
      input.pause();
      out.write(leaveScreen);
      for (const signal of signals) process.off(signal, stop);
    }
  }

  private key(text: string): void {
    if (text === 'q' || text === '\x03' || text === '\x1b') this.end();
    else if (keys[text] !== undefined) this.order = keys[text];
    this.wake();
  }

  private end(): void {
    this.isOver = true;
    this.wake();
  }

  private async draw(): Promise<void> {
    const { context, order, out } = this;
    // A terminal without a size says 0.
    const [columns, rows] = [out.columns || 120, out.rows || 40];
    const limit = Math.max(1, rows - otherLines);
    const found = await context.perform('listTraffic', { order, limit });
    if (this.isOver) return;
    const chosen = Object.entries(keys).map(([key, each]) => (each === order ? `[${key} ${each}]` : `${key} ${each}`));
    const { text } = statisticsReport(found, context.now(), limit);
    const lines = [`hipache top   sort: ${chosen.join('  ')}   q quit`, '', ...text.split('\n')];
    out.write(clearScreen + lines.map((line) => line.slice(0, columns)).join('\r\n'));
  }

  /** Until the next look, or a key. */
  private async pause(): Promise<void> {
    if (this.isOver) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.wake = resolve;
    await Promise.race([promise, delay(everyMs, undefined, { ref: true })]);
  }
}
