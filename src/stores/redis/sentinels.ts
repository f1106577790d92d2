import { HipacheError } from '../../base/errors.ts';
import { hostPort } from '../../base/host-port.ts';
import { within } from '../../base/timer.ts';
import type { HostAndPort } from '../driver-url.ts';
import { newClient } from './client.ts';
import type { RedisEndpoint, SentinelGroup } from './endpoint.ts';

/** The part of a client that is used here. */
interface SentinelClient {
  connect(): Promise<unknown>;
  destroy(): void;
  on(event: 'error', listener: (error: Error) => void): unknown;
  sendCommand(command: readonly string[]): Promise<unknown>;
}

/** Between two questions whether the primary is still the same, in ms. */
const askEveryMs = 1000;

/**
 * The sentinels of a group of Redis servers. They are asked which server is the primary before every connection, and
 * once a second meanwhile: a primary that is cut off from the others, together with this process, does not know that it
 * has been replaced.
 */
export class Sentinels {
  private readonly endpoint: RedisEndpoint;
  private readonly group: SentinelGroup;
  private readonly replyTimeoutMs: number;
  private readonly onMoved: (problem: string) => void;
  private readonly clients = new Map<HostAndPort, Promise<SentinelClient>>();
  private readonly timer: NodeJS.Timeout;
  private primary: HostAndPort | null = null;
  private closed = false;

  /** @param onMoved called when most sentinels name another server than the one that `locate` gave last. */
  constructor(
    endpoint: RedisEndpoint,
    group: SentinelGroup,
    replyTimeoutMs: number,
    onMoved: (problem: string) => void,
  ) {
    this.endpoint = endpoint;
    this.group = group;
    this.replyTimeoutMs = replyTimeoutMs;
    this.onMoved = onMoved;
    this.timer = setInterval(() => void this.look(), askEveryMs);
  }

  /** The address of the primary. @throws HipacheError if no sentinel knows it. */
  async locate(): Promise<HostAndPort> {
    const { answers, problems } = await this.ask();
    const [most] = mostCommon(answers);
    if (most !== undefined) {
      this.primary = most;
      return most;
    }
    const [problem = 'no sentinel replies'] = problems;
    throw new HipacheError('STORE_UNAVAILABLE', `${this.endpoint.name}: ${problem}`);
  }

  close(): void {
    this.closed = true;
    clearInterval(this.timer);
    for (const client of this.clients.values()) client.then((one) => one.destroy()).catch(() => {});
    this.clients.clear();
  }

  private async look(): Promise<void> {
    const before = this.primary;
    if (before === null) return;
    const { answers } = await this.ask();
    const [most, count] = mostCommon(answers);
    if (this.closed || this.primary !== before || most === undefined) return;
    const isMajority = count * 2 > this.group.addresses.length;
    if (!isMajority || (most.host === before.host && most.port === before.port)) return;
    this.primary = most;
    this.onMoved(`the sentinels name another primary now, ${hostPort(most.host, most.port)}`);
  }

  private async ask(): Promise<{ readonly answers: readonly HostAndPort[]; readonly problems: readonly string[] }> {
    const answers: HostAndPort[] = [];
    const problems: string[] = [];
    await Promise.all(
      this.group.addresses.map(async (address) => {
        try {
          answers.push(await this.askOne(address));
        } catch (error) {
          problems.push((error as Error).message);
        }
      }),
    );
    return { answers, problems };
  }

  private async askOne(address: HostAndPort): Promise<HostAndPort> {
    const name = hostPort(address.host, address.port);
    const reply = await within(this.query(address), this.replyTimeoutMs, () => {
      this.forget(address);
      return new Error(`the sentinel ${name} does not reply`);
    });
    if (!Array.isArray(reply) || reply.length !== 2) {
      throw new Error(`the sentinel ${name} knows no group ${JSON.stringify(this.group.name)}`);
    }
    return { host: String(reply[0]), port: Number(reply[1]) };
  }

  private async query(address: HostAndPort): Promise<unknown> {
    try {
      const client = await this.clientOf(address);
      return await client.sendCommand(['SENTINEL', 'get-master-addr-by-name', this.group.name]);
    } catch (error) {
      this.forget(address);
      const { message } = error as Error;
      throw new Error(`the sentinel ${hostPort(address.host, address.port)}: ${message}`, { cause: error });
    }
  }

  private clientOf(address: HostAndPort): Promise<SentinelClient> {
    let client = this.clients.get(address);
    if (client === undefined) {
      client = this.connect(address);
      this.clients.set(address, client);
    }
    return client;
  }

  private async connect({ host, port }: HostAndPort): Promise<SentinelClient> {
    const { user, password } = this.group;
    const socket = { host, port, connectTimeout: this.replyTimeoutMs, reconnectStrategy: false as const };
    const made: unknown = newClient({
      socket: this.endpoint.tls ? { ...socket, tls: true } : socket,
      ...(user === null ? {} : { username: user }),
      ...(password === null ? {} : { password }),
    });
    const client = made as SentinelClient;
    // The next question finds out.
    client.on('error', () => {});
    await client.connect();
    return client;
  }

  private forget(address: HostAndPort): void {
    const client = this.clients.get(address);
    this.clients.delete(address);
    client?.then((one) => one.destroy()).catch(() => {});
  }
}

/** The answer that most have given, and how many these are. */
function mostCommon(answers: readonly HostAndPort[]): [answer: HostAndPort | undefined, count: number] {
  const counts = new Map<string, number>();
  for (const { host, port } of answers) {
    const name = hostPort(host, port);
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const [most, count = 0] = [...counts].sort(([, a], [, b]) => b - a)[0] ?? [];
  return [answers.find(({ host, port }) => hostPort(host, port) === most), count];
}
