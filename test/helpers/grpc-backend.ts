import {
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  Server,
  ServerCredentials,
} from '@grpc/grpc-js';
import type { Health } from './grpc-health.ts';
import { grpcPath, plainBytes } from './grpc-service.ts';

interface GrpcHandlers {
  readonly unary: handleUnaryCall<Buffer, Buffer>;
  readonly collect: handleClientStreamingCall<Buffer, Buffer>;
  readonly list: handleServerStreamingCall<Buffer, Buffer>;
  readonly chat: handleBidiStreamingCall<Buffer, Buffer>;
}

interface GrpcBackendOptions extends Partial<GrpcHandlers> {
  /** Default: a free one. */
  readonly port?: number;
  /** Default: no TLS. */
  readonly credentials?: ServerCredentials;
  /** Default: no `grpc.health.v1`. */
  readonly health?: Health;
}

/** A gRPC server of @grpc/grpc-js, whose methods send back what they get. */
export class GrpcBackend {
  readonly port: number;
  /** Calls of any method that have begun. */
  calls = 0;
  private readonly server: Server;

  private constructor(server: Server, port: number) {
    this.server = server;
    this.port = port;
  }

  static async start(options: GrpcBackendOptions = {}): Promise<GrpcBackend> {
    const { credentials = ServerCredentials.createInsecure(), health, port = 0, ...handlers } = options;
    const server = new Server({ 'grpc.max_receive_message_length': -1 });
    const bound = await new Promise<number>((resolve, reject) => {
      server.bindAsync(`127.0.0.1:${port}`, credentials, (error, at) => {
        if (error === null) resolve(at);
        else reject(error);
      });
    });
    const backend = new GrpcBackend(server, bound);
    backend.serve({ ...echo, ...handlers });
    if (health !== undefined) health.serveAt(server);
    return backend;
  }

  /** Without the scheme. */
  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  get url(): string {
    return `h2c://${this.address}`;
  }

  /** Announces its end to clients, and waits for their calls. */
  leave(): Promise<void> {
    return new Promise((resolve) => this.server.tryShutdown(() => resolve()));
  }

  /** Ends all connections at once. */
  stop(): void {
    this.server.forceShutdown();
  }

  private serve({ unary, collect, list, chat }: GrpcHandlers): void {
    const counted =
      <Args extends unknown[]>(handle: (...args: Args) => void) =>
      (...args: Args): void => {
        this.calls++;
        handle(...args);
      };
    const definition = {
      unary: { path: grpcPath('unary'), requestStream: false, responseStream: false, ...plainBytes },
      collect: { path: grpcPath('collect'), requestStream: true, responseStream: false, ...plainBytes },
      list: { path: grpcPath('list'), requestStream: false, responseStream: true, ...plainBytes },
      chat: { path: grpcPath('chat'), requestStream: true, responseStream: true, ...plainBytes },
    };
    this.server.addService(definition, {
      unary: counted(unary),
      collect: counted(collect),
      list: counted(list),
      chat: counted(chat),
    });
  }
}

/** The fields of the call whose names begin with `x-test`. */
function testFields(metadata: Metadata): Metadata {
  const own = new Metadata();
  for (const name of Object.keys(metadata.getMap()).filter((each) => each.startsWith('x-test'))) {
    for (const value of metadata.get(name)) own.add(name, value);
  }
  return own;
}

const echo: GrpcHandlers = {
  unary(call, reply) {
    call.sendMetadata(testFields(call.metadata));
    const trailers = new Metadata();
    trailers.set('x-length', String(call.request.length));
    trailers.set('x-begin-bin', call.request.subarray(0, 10));
    reply(null, call.request, trailers);
  },
  collect(call, reply) {
    const parts: Buffer[] = [];
    call.on('data', (message: Buffer) => parts.push(message));
    call.on('end', () => reply(null, Buffer.concat(parts)));
  },
  /** As many messages as the request says, each as long as its number. */
  list(call) {
    const count = Number(call.request.toString());
    for (let i = 0; i < count; i++) call.write(Buffer.alloc(i, 'x'));
    call.end();
  },
  chat(call) {
    call.on('data', (message: Buffer) => call.write(message));
    call.on('end', () => call.end());
  },
};
