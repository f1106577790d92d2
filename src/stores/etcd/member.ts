import { connect, type Socket } from 'node:net';
import { type ChannelCredentials, type ChannelOptions, Client } from '@grpc/grpc-js';
import { hostPort } from '../../base/host-port.ts';
import type { HostAndPort } from '../driver-url.ts';
import { unreachable } from './errors.ts';

export interface EtcdMemberOptions {
  readonly credentials: ChannelCredentials;
  readonly channel: ChannelOptions;
  /** For a TCP connection, in ms. */
  readonly connectTimeoutMs: number;
}

/**
 * The gRPC client of one member. gRPC waits for a TCP connection as long as the kernel does, which is two minutes where
 * packets are dropped, and it stays with a connection whose packets are lost. So a connection is tried first, and `renew`
 * leaves one that is silent.
 */
export class EtcdMember {
  private readonly address: HostAndPort;
  private readonly options: EtcdMemberOptions;
  private opened: Promise<Client> | null = null;
  private attempt: Socket | null = null;

  constructor(address: HostAndPort, options: EtcdMemberOptions) {
    this.address = address;
    this.options = options;
  }

  /** @throws an error of gRPC's form if the member cannot be reached in time. */
  client(): Promise<Client> {
    this.opened ??= this.open();
    return this.opened;
  }

  /** The next request uses a new connection. */
  renew(): void {
    const { opened } = this;
    this.opened = null;
    this.attempt?.destroy();
    opened?.then(
      (client) => client.close(),
      () => {},
    );
  }

  private async open(): Promise<Client> {
    const { credentials, channel, connectTimeoutMs } = this.options;
    const { host, port } = this.address;
    try {
      await this.reach(connectTimeoutMs);
    } catch (error) {
      this.opened = null;
      throw unreachable(error as Error);
    }
    // Channels would share their connections otherwise, also one that is silent.
    return new Client(`dns:${hostPort(host, port)}`, credentials, { ...channel, 'grpc.use_local_subchannel_pool': 1 });
  }

  private async reach(waitMs: number): Promise<void> {
    const socket = connect(this.address);
    this.attempt = socket;
    try {
      await new Promise<void>((resolve, reject) => {
        socket.setTimeout(waitMs, () => socket.destroy(new Error(`no TCP connection within ${waitMs} ms`)));
        socket.once('connect', resolve).once('error', reject);
        socket.once('close', () => reject(new Error('no TCP connection before the store was closed')));
      });
    } finally {
      socket.destroy();
    }
  }
}
