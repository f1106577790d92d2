import {
  type ChannelCredentials,
  Client,
  type ClientOptions,
  credentials,
  Metadata,
  type MetadataValue,
  type StatusObject,
  status,
} from '@grpc/grpc-js';
import { grpcPath, plainBytes } from './grpc-service.ts';
import { until } from './until.ts';

/** How a call has ended. */
interface GrpcResult {
  readonly status: StatusObject;
  /** Of the head of the response. */
  readonly fields: Metadata;
  readonly messages: readonly Buffer[];
}

interface CallOptions {
  readonly fields?: Readonly<Record<string, MetadataValue>>;
  /** In ms from now. */
  readonly deadlineMs?: number;
  /** Default: that of the method. */
  readonly path?: string;
}

const { requestSerialize: write, responseDeserialize: read } = plainBytes;

/** A client of @grpc/grpc-js for `host`, at a port of this machine, with one connection. */
export class GrpcClient {
  private readonly client: Client;

  constructor(port: number, host: string, channel = credentials.createInsecure(), options: ClientOptions = {}) {
    this.client = new Client(`127.0.0.1:${port}`, channel, {
      'grpc.default_authority': host,
      'grpc.ssl_target_name_override': host,
      'grpc.use_local_subchannel_pool': 1,
      'grpc.max_receive_message_length': -1,
      ...options,
    });
  }

  /** With TLS: trusts this authority alone. */
  static trusting(certificate: string): ChannelCredentials {
    return credentials.createSsl(Buffer.from(certificate));
  }

  unary(
    body: string | Buffer,
    { fields, deadlineMs, path = grpcPath('unary') }: CallOptions = {},
  ): Promise<GrpcResult> {
    return new Promise((resolve) => {
      const messages: Buffer[] = [];
      let head = new Metadata();
      const call = this.client.makeUnaryRequest(
        path,
        write,
        read,
        Buffer.from(body),
        metadataOf(fields),
        deadlineOf(deadlineMs),
        (_error, message) => {
          if (message !== undefined) messages.push(message);
        },
      );
      call.on('metadata', (metadata) => {
        head = metadata;
      });
      call.on('status', (end) => resolve({ status: end, fields: head, messages }));
    });
  }

  /** Like `unary`, for a call that must succeed. @returns the message as text. */
  async text(body: string): Promise<string> {
    return succeeded(await this.unary(body))[0]?.toString() ?? '';
  }

  collect(bodies: readonly (string | Buffer)[]): Promise<GrpcResult> {
    return new Promise((resolve) => {
      const messages: Buffer[] = [];
      const call = this.client.makeClientStreamRequest(
        grpcPath('collect'),
        write,
        read,
        new Metadata(),
        {},
        (_error, message) => {
          if (message !== undefined) messages.push(message);
        },
      );
      call.on('status', (end) => resolve({ status: end, fields: new Metadata(), messages }));
      for (const body of bodies) call.write(Buffer.from(body));
      call.end();
    });
  }

  list(body: string, { fields, deadlineMs }: CallOptions = {}): GrpcStream {
    return new GrpcStream(
      this.client.makeServerStreamRequest(
        grpcPath('list'),
        write,
        read,
        Buffer.from(body),
        metadataOf(fields),
        deadlineOf(deadlineMs),
      ),
      () => {},
    );
  }

  chat({ fields, deadlineMs }: CallOptions = {}): GrpcStream {
    const call = this.client.makeBidiStreamRequest(
      grpcPath('chat'),
      write,
      read,
      metadataOf(fields),
      deadlineOf(deadlineMs),
    );
    return new GrpcStream(call, (message) => {
      if (message === null) call.end();
      else call.write(message);
    });
  }

  close(): void {
    this.client.close();
  }
}

/** A call whose response is a stream. */
export class GrpcStream {
  readonly messages: Buffer[] = [];
  readonly ended: Promise<GrpcResult>;
  hasEnded = false;
  private readonly call: ReturnType<Client['makeServerStreamRequest']>;
  private readonly write: (message: Buffer | null) => void;

  /** @param write null ends the request. */
  constructor(call: GrpcStream['call'], write: (message: Buffer | null) => void) {
    this.call = call;
    this.write = write;
    let fields = new Metadata();
    call.on('metadata', (head: Metadata) => {
      fields = head;
    });
    call.on('data', (message: Buffer) => this.messages.push(message));
    // Its status says the same.
    call.on('error', () => {});
    this.ended = new Promise((resolve) => {
      call.on('status', (end: StatusObject) => {
        this.hasEnded = true;
        resolve({ status: end, fields, messages: this.messages });
      });
    });
  }

  send(message: string | Buffer): void {
    this.write(Buffer.from(message));
  }

  end(): void {
    this.write(null);
  }

  cancel(): void {
    this.call.cancel();
  }

  async received(count: number): Promise<void> {
    await until(`${count} messages`, () => this.messages.length >= count || this.hasEnded);
    if (this.messages.length >= count) return;
    const { status: end } = await this.ended;
    throw new Error(`the call has ended after ${this.messages.length} messages: ${end.code} ${end.details}`);
  }

  /** Sends a message, and waits for the next one of the server. */
  async echo(message: string): Promise<string> {
    const { length } = this.messages;
    this.send(message);
    await this.received(length + 1);
    return this.messages[length]?.toString() ?? '';
  }
}

/** The messages of a call that must have succeeded. */
export function succeeded({ messages, status: { code, details } }: GrpcResult): readonly Buffer[] {
  if (code !== status.OK) throw new Error(`the call has ended with ${status[code]}: ${details}`);
  return messages;
}

/** The status of a call as text. */
export function statusText({ status: { code, details } }: GrpcResult): string {
  return `${status[code]}: ${details}`;
}

function metadataOf(fields: CallOptions['fields'] = {}): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(fields)) metadata.set(name, value);
  return metadata;
}

function deadlineOf(inMs: number | undefined): { deadline?: number } {
  return inMs === undefined ? {} : { deadline: Date.now() + inMs };
}
