import { type ChildProcess, spawn } from 'node:child_process';
import { until } from './until.ts';

/** The service of `GrpcBackend`. Its messages are plain bytes, so that nothing has to be compiled. */
const server = `
import sys, grpc
from concurrent import futures

def unary(message, context):
    fields = dict(context.invocation_metadata())
    if 'x-test-gzip' in fields:
        context.set_compression(grpc.Compression.Gzip)
    context.send_initial_metadata([(name, value) for name, value in fields.items() if name.startswith('x-test')])
    context.set_trailing_metadata((('x-length', str(len(message))), ('x-begin-bin', message[:10])))
    if message == b'fail':
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, 'läuft nicht: 100 %')
    return message

def collect(messages, context):
    return b''.join(messages)

def list_(message, context):
    for i in range(int(message)):
        yield b'x' * i

def chat(messages, context):
    for message in messages:
        yield message

served = grpc.server(futures.ThreadPoolExecutor(32), options=[('grpc.max_receive_message_length', -1)])
served.add_generic_rpc_handlers([grpc.method_handlers_generic_handler('test.Echo', {
    'unary': grpc.unary_unary_rpc_method_handler(unary),
    'collect': grpc.stream_unary_rpc_method_handler(collect),
    'list': grpc.unary_stream_rpc_method_handler(list_),
    'chat': grpc.stream_stream_rpc_method_handler(chat),
})])
at = '127.0.0.1:' + sys.argv[1]
if len(sys.argv) > 2:
    pair = [open(name, 'rb').read() for name in sys.argv[2:4]]
    port = served.add_secure_port(at, grpc.ssl_server_credentials([(pair[0], pair[1])]))
else:
    port = served.add_insecure_port(at)
served.start()
print('port', port, flush=True)
sys.stdin.read()
served.stop(30).wait()
`;

/** Makes calls of every kind, and prints what it sees. Arguments: the port, the host, and the authority for TLS. */
const client = `
import sys, grpc, os, queue
port, host, *ca = sys.argv[1:]
options = [('grpc.default_authority', host), ('grpc.ssl_target_name_override', host),
           ('grpc.max_receive_message_length', -1), ('grpc.enable_retries', 0)]
at = '127.0.0.1:' + port
if ca:
    channel = grpc.secure_channel(at, grpc.ssl_channel_credentials(open(ca[0], 'rb').read()), options)
else:
    channel = grpc.insecure_channel(at, options)
unary = channel.unary_unary('/test.Echo/unary')
collect = channel.stream_unary('/test.Echo/collect')
list_ = channel.unary_stream('/test.Echo/list')
chat = channel.stream_stream('/test.Echo/chat')

body, call = unary.with_call(b'0123456789abc', timeout=60, metadata=(('x-test', 'text'), ('x-test-bin', b'\\x00\\xff')))
fields = dict(call.initial_metadata())
print('unary', body.decode(), fields['x-test'], fields['x-test-bin'].hex(), dict(call.trailing_metadata()))
large = os.urandom(4 * 1024 * 1024)
print('large', unary(large) == large, unary(b'') == b'')
text = b'again and again ' * 50000
print('gzip', unary(text, compression=grpc.Compression.Gzip, metadata=(('x-test-gzip', '1'),)) == text)
print('collect', collect(iter([b'a', b'', b'b', large])) == b'ab' + large)
print('list', [len(message) for message in list_(b'5')])

# Each message is sent when the response to the one before has come.
replies = queue.Queue()
replies.put(b'0')
seen = []
def asked():
    while True:
        message = replies.get()
        if message is None:
            return
        yield message
for message in chat(asked()):
    seen.append(message.decode())
    replies.put(None if len(seen) == 100 else str(len(seen)).encode())
print('chat', seen == [str(i) for i in range(100)])
many = [str(i).encode() * 20 for i in range(3000)]
print('many', list(chat(iter(many))) == many)
try:
    unary(b'fail')
    print('no failure')
except grpc.RpcError as error:
    print('status', error.code().name, error.details())
running = chat(iter(lambda: replies.get() or b'', None))
running.cancel()
try:
    next(running)
except grpc.RpcError as error:
    print('cancelled', error.code().name)
`;

/** Runs a program of Debian's own Python, which has grpc. */
function python(program: string, args: readonly string[]): ChildProcess {
  return spawn('/usr/bin/python3', ['-c', program, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
}

/** A gRPC server of Debian's python3-grpcio, with the service of `GrpcBackend`. */
export class PythonGrpcServer {
  readonly port: number;
  private readonly child: ChildProcess;
  private readonly ended: Promise<void>;

  private constructor(child: ChildProcess, port: number, ended: Promise<void>) {
    this.child = child;
    this.port = port;
    this.ended = ended;
  }

  /** @param pair files of its certificate and its key; none: without TLS. */
  static async start(port = 0, pair: readonly string[] = []): Promise<PythonGrpcServer> {
    const child = python(server, [String(port), ...pair]);
    const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
    let output = '';
    child.stdout?.on('data', (bytes: Buffer) => {
      output += bytes.toString();
    });
    await until('the server', () => output.includes('\n') || child.exitCode !== null);
    return new PythonGrpcServer(child, Number(/^port (\d+)$/m.exec(output)?.[1]), ended);
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Announces its end to clients, waits for their calls, and ends. */
  leave(): Promise<void> {
    this.child.stdin?.end();
    return this.ended;
  }

  /** Ends at once, without a word to anybody. */
  kill(): Promise<void> {
    this.child.kill('SIGKILL');
    return this.ended;
  }
}

/** What the client of python3-grpcio sees. @param authority file of the one for TLS; without it, no TLS. */
export async function callByPython(port: number, host: string, authority?: string): Promise<string> {
  const child = python(client, [String(port), host, ...(authority === undefined ? [] : [authority])]);
  let output = '';
  child.stdout?.on('data', (bytes: Buffer) => {
    output += bytes.toString();
  });
  await new Promise((resolve) => child.once('close', resolve));
  return output;
}
