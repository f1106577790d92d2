import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { checkServerIdentity as checkIdentity, createSecureContext } from 'node:tls';
import { type ChannelCredentials, type Client, type ClientDuplexStream, credentials, Metadata } from '@grpc/grpc-js';
import { HipacheError } from '../../base/errors.ts';
import type { EtcdEndpoints } from './endpoints.ts';
import {
  etcdError,
  isLate,
  isLeaderless,
  isMemberFailure,
  isTokenInvalid,
  isUnsent,
  isWithoutAccounts,
} from './errors.ts';
import { EtcdMember } from './member.ts';
import { type EtcdCalls, type EtcdWatchResponse, etcdMethods } from './protocol.ts';

/** The time-outs and pauses of a store, in ms. */
export interface EtcdTimings {
  /** For one request to one member. */
  readonly requestTimeoutMs: number;
  /** Between two questions whether the watch still lives. */
  readonly progressEveryMs: number;
  /** A watch from which nothing has come for this long counts as lost. */
  readonly silenceMaxMs: number;
  readonly retryFirstMs: number;
  readonly retryMaxMs: number;
}

export const defaultEtcdTimings: EtcdTimings = {
  requestTimeoutMs: 3000,
  progressEveryMs: 1000,
  silenceMaxMs: 3000,
  retryFirstMs: 100,
  retryMaxMs: 5000,
};

/** How long a request waits for a leader, in times of a request. Members take one to two seconds to elect one. */
const electionsPerRequest = 2;
/** Largest message, in bytes: a page of a listing, or the changes of one revision. */
const messageBytesMax = 256 * 1024 * 1024;

export type WatchStream = ClientDuplexStream<object, EtcdWatchResponse>;

/** The members of a cluster. Requests go to one of them, and to the next one once it fails. */
export class EtcdCluster {
  readonly endpoints: EtcdEndpoints;
  private readonly timings: EtcdTimings;
  private readonly members: readonly EtcdMember[];
  private current = 0;
  /** Null without an account, or while there is none. */
  private token: Promise<string | null> | null = null;
  private closed = false;

  /** @throws HipacheError if a file of TLS cannot be read. */
  constructor(endpoints: EtcdEndpoints, timings: EtcdTimings) {
    this.endpoints = endpoints;
    this.timings = timings;
    const files = readFiles(endpoints);
    this.members = endpoints.hosts.map(
      (address) =>
        new EtcdMember(address, {
          credentials: channelCredentials(files, address.host),
          connectTimeoutMs: timings.requestTimeoutMs,
          channel: {
            ...(files !== null && isIP(address.host) !== 0 ? { 'grpc.ssl_target_name_override': nameOfAddress } : {}),
            'grpc.initial_reconnect_backoff_ms': timings.retryFirstMs,
            'grpc.max_reconnect_backoff_ms': timings.retryMaxMs,
            'grpc.max_receive_message_length': messageBytesMax,
            'grpc.max_send_message_length': messageBytesMax,
          },
        }),
    );
  }

  /**
   * Sends one request, to each member if need be. Waits while the members elect a leader.
   * @param isRepeatable whether it may be sent to another member although one may have done it already.
   * @throws HipacheError; gRPC's own error as `cause`.
   */
  async call<Name extends keyof EtcdCalls>(
    name: Name,
    request: EtcdCalls[Name]['request'],
    isRepeatable: boolean,
  ): Promise<EtcdCalls[Name]['response']> {
    const endMs = performance.now() + electionsPerRequest * this.timings.requestTimeoutMs;
    let hasNewToken = false;
    /** The error of a member that waits for a leader, in this round. */
    let waiting: unknown = null;
    // Watches and other requests may change the current member meanwhile.
    const failed = new Set<number>();
    for (;;) {
      const member = this.currentBut(failed);
      try {
        return await this.callAt(member, name, request, await this.metadata());
      } catch (error) {
        if (this.closed) throw this.closedError();
        if (isTokenInvalid(error) && this.endpoints.account !== null && !hasNewToken) {
          hasNewToken = true;
          this.token = null;
          continue;
        }
        if (isMemberFailure(error)) this.leave(member);
        if (!isMemberFailure(error) || !(isRepeatable || isUnsent(error))) throw etcdError(error, this.endpoints.name);
        // Members without a leader keep a request for a while.
        if (isLeaderless(error) || (isLate(error) && this.members.length > 1)) waiting = error;
        failed.add(member);
        if (failed.size < this.members.length) continue;
        failed.clear();
        if (waiting === null || performance.now() > endMs) throw etcdError(waiting ?? error, this.endpoints.name);
        waiting = null;
        await delay(this.timings.retryFirstMs);
      }
    }
  }

  /**
   * Opens a watch at the current member. It ends with gRPC's error if the member loses its leader.
   * @throws if the member cannot be reached; the next watch is at another one.
   */
  async watch(): Promise<{ readonly stream: WatchStream; readonly leave: () => void }> {
    const member = this.current;
    try {
      const metadata = await this.metadata();
      // A member that is cut off from the others would report nothing, and not know it.
      metadata.set('hasleader', 'true');
      const client = await this.client(member);
      const { path, requestSerialize, responseDeserialize } = etcdMethods.watch;
      const stream = client.makeBidiStreamRequest<object, EtcdWatchResponse>(
        path,
        requestSerialize,
        responseDeserialize as (bytes: Buffer) => EtcdWatchResponse,
        metadata,
      );
      return { stream, leave: () => this.abandon(member) };
    } catch (error) {
      if (isMemberFailure(error)) this.leave(member);
      throw error;
    }
  }

  /** The current member, or the next one that is not among `failed`, which has not all of them. */
  private currentBut(failed: ReadonlySet<number>): number {
    let member = this.current;
    while (failed.has(member)) member = (member + 1) % this.members.length;
    return member;
  }

  /** Further requests go to the next member. */
  private leave(member: number): void {
    if (member === this.current) this.current = (member + 1) % this.members.length;
  }

  /** The same, and its connection is used no more: it may be one whose packets are lost. */
  private abandon(member: number): void {
    this.members[member]?.renew();
    this.leave(member);
  }

  close(): void {
    this.closed = true;
    for (const member of this.members) member.renew();
  }

  closedError(): HipacheError {
    return new HipacheError('STORE_UNAVAILABLE', `${this.endpoints.name}: the store was closed`);
  }

  private async client(member: number): Promise<Client> {
    if (this.closed) throw this.closedError();
    const client = await (this.members[member] as EtcdMember).client();
    if (this.closed) throw this.closedError();
    return client;
  }

  private async metadata(): Promise<Metadata> {
    const metadata = new Metadata();
    if (this.endpoints.account === null) return metadata;
    this.token ??= this.authenticate();
    const asked = this.token;
    try {
      const token = await asked;
      if (token !== null) metadata.set('token', token);
      return metadata;
    } catch (error) {
      if (this.token === asked) this.token = null;
      throw error;
    }
  }

  /** @returns null if the cluster has no accounts, as with the original. */
  private async authenticate(): Promise<string | null> {
    const { user: name, password } = this.endpoints.account ?? { user: '', password: '' };
    try {
      const { token } = await this.callAt(this.current, 'authenticate', { name, password }, new Metadata());
      return token;
    } catch (error) {
      if (isWithoutAccounts(error)) return null;
      throw error;
    }
  }

  private async callAt<Name extends keyof EtcdCalls>(
    member: number,
    name: Name,
    request: EtcdCalls[Name]['request'],
    metadata: Metadata,
  ): Promise<EtcdCalls[Name]['response']> {
    const { path, requestSerialize, responseDeserialize } = etcdMethods[name];
    const client = await this.client(member);
    const deadline = Date.now() + this.timings.requestTimeoutMs;
    return new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize as (bytes: Buffer) => EtcdCalls[Name]['response'],
        request,
        metadata,
        { deadline },
        (error, response) => {
          if (error !== null || response === undefined) reject(error ?? new Error('no response'));
          else resolve(response);
        },
      );
    });
  }
}

/** Contents of the files of TLS. */
interface TlsFiles {
  readonly ca: Buffer | null;
  readonly cert: Buffer | null;
  readonly key: Buffer | null;
}

/** Sent as the server name to a member that has only an address, for which TLS has no name (RFC 6066 section 3). */
const nameOfAddress = 'etcd';

/** @returns null without TLS. */
function readFiles({ tls, files, name }: EtcdEndpoints): TlsFiles | null {
  if (!tls) return null;
  const read = (path: string | null): Buffer | null => {
    if (path === null) return null;
    try {
      return readFileSync(path);
    } catch (error) {
      throw new HipacheError('STORE_UNAVAILABLE', `${name}: ${path} cannot be read`, { cause: error });
    }
  };
  const found = { ca: read(files.ca), cert: read(files.cert), key: read(files.key) };
  try {
    createSecureContext({ ca: found.ca ?? undefined, cert: found.cert ?? undefined, key: found.key ?? undefined });
  } catch (error) {
    const problem = (error as Error).message;
    throw new HipacheError('STORE_UNAVAILABLE', `${name}: a file of its driver URL is not usable: ${problem}`, {
      cause: error,
    });
  }
  return found;
}

function channelCredentials(files: TlsFiles | null, host: string): ChannelCredentials {
  if (files === null) return credentials.createInsecure();
  // Whatever the server name was, the certificate must be valid for the address.
  const checkServerIdentity: typeof checkIdentity = (_name, certificate) => checkIdentity(host, certificate);
  return credentials.createSsl(files.ca, files.key, files.cert, { checkServerIdentity });
}
