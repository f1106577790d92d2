import type { ErrorCode } from '../../base/errors.ts';
import { invariant } from '../../base/invariant.ts';
import type { FieldEdits, FieldLines } from '../../http/field-lines.ts';
import type { ResponseView } from '../../http/message.ts';
import { clientFraming, responseHeadText, switchHeadText } from '../../http1/forward-response.ts';
import { Framing } from '../../http1/head.ts';
import type { RequestHead } from '../../http1/request-head.ts';
import type { RuleEffects } from '../../policy/admission.ts';
import type { ByteSocket } from '../../sockets/byte-socket.ts';
import type { Peer } from '../client-identity.ts';
import type { ProxyContext } from '../context.ts';
import { type LocalReply, localReplyText } from '../local-reply.ts';
import type { BoundStream, ServerStream, TunnelEndpoint } from '../server-stream.ts';
import { withVia } from '../via.ts';

/** The connection that a stream belongs to. */
interface StreamConnection {
  /** Whether another request may follow the response that starts now. */
  allowsKeepAlive(): boolean;
  pauseRequest(): void;
  resumeRequest(): void;
  /** The connection may be waiting for something else now. */
  updateDeadline(): void;
  /** Gives up the socket. */
  openTunnel(): TunnelEndpoint;
  /** The exchange has ended. @param keepsAlive whether its response allows another request. */
  exchangeEnded(keepsAlive: boolean): void;
}

/** The responses on one HTTP/1 client connection: a single object serves all its exchanges in turn. */
export class Http1Stream implements ServerStream {
  readonly request: RequestHead;
  readonly peer: Peer;
  /** Whether the response waits for the client to read. */
  isBlocked = false;
  bound: BoundStream | null = null;
  effects: RuleEffects | null = null;
  private readonly context: ProxyContext;
  private readonly connection: StreamConnection;
  private readonly socket: ByteSocket;
  private framing: Framing = Framing.NONE;
  private keepsAlive = true;
  private bytesBefore = 0;

  constructor(
    connection: StreamConnection,
    request: RequestHead,
    socket: ByteSocket,
    peer: Peer,
    context: ProxyContext,
  ) {
    this.connection = connection;
    this.request = request;
    this.socket = socket;
    this.peer = peer;
    this.context = context;
  }

  /** Prepares for the exchange of the request just read. */
  begin(): void {
    this.isBlocked = false;
    this.effects = null;
    this.bytesBefore = this.socket.bytesQueued;
  }

  get bytesSent(): number {
    return this.socket.bytesQueued - this.bytesBefore;
  }

  chooseProtocol(allowed: ReadonlySet<string>): void {
    this.request.chooseProtocol(allowed);
  }

  sendInformational(response: ResponseView): void {
    // RFC 9110 section 15.2: an HTTP/1.0 client must not get any.
    if (this.request.versionMinor === 0) return;
    const shape = { versionMinor: 1, isHead: false, framing: Framing.NONE, keepAlive: true, edits: null, epochMs: 0 };
    this.socket.append(responseHeadText(response, shape));
  }

  sendHead(response: ResponseView, edits: FieldEdits | null): void {
    const { method, versionMinor } = this.request;
    this.framing = clientFraming(response, versionMinor);
    // If the response precedes the end of its request, the client may never send the rest (RFC 9110 section 10.1.1).
    this.keepsAlive = this.connection.allowsKeepAlive() && this.framing !== Framing.CLOSE;
    this.socket.append(
      responseHeadText(response, {
        versionMinor,
        isHead: method === 'HEAD',
        framing: this.framing,
        keepAlive: this.keepsAlive,
        edits: withVia(this.peer, response, edits),
        epochMs: this.context.clock.epochMs(),
      }),
    );
  }

  sendData(bytes: Buffer, start: number, end: number): void {
    if (this.framing !== Framing.CHUNKED) {
      this.socket.appendBytes(bytes, start, end);
      return;
    }
    invariant(end > start, 'an empty chunk would end the body');
    this.socket.append(`${(end - start).toString(16)}\r\n`);
    this.socket.appendBytes(bytes, start, end);
    this.socket.append('\r\n');
  }

  sendEnd(trailers: FieldLines | null): void {
    if (this.framing === Framing.CHUNKED) this.socket.append(`0\r\n${trailers === null ? '' : trailers.text}\r\n`);
    this.socket.flush();
  }

  sendLocal(reply: LocalReply, code: ErrorCode | null, added: FieldLines | null): void {
    const { context, request } = this;
    // The rest of a request that was not read completely would be taken for the next one.
    this.keepsAlive = request.refusal === '' && this.connection.allowsKeepAlive();
    this.socket.append(
      localReplyText(reply, code, {
        versionMinor: request.versionMinor,
        isHead: request.method === 'HEAD',
        accept: request.acceptField < 0 ? '' : request.fieldValue(request.acceptField),
        page: context.pages?.page(reply.status, code) ?? null,
        keepAlive: this.keepsAlive,
        epochMs: context.clock.epochMs(),
        added,
      }),
    );
    this.socket.flush();
  }

  flush(): boolean {
    const flowing = this.socket.flush();
    this.isBlocked = !flowing;
    this.connection.updateDeadline();
    return flowing;
  }

  pauseRequest(): void {
    this.connection.pauseRequest();
  }

  resumeRequest(): void {
    this.connection.resumeRequest();
  }

  abort(): void {
    this.keepsAlive = false;
    this.socket.reset();
  }

  openTunnel(response: ResponseView, edits: FieldEdits | null): TunnelEndpoint {
    this.socket.append(switchHeadText(response, this.request.protocol ?? '', withVia(this.peer, response, edits)));
    return this.connection.openTunnel();
  }

  release(): void {
    this.connection.exchangeEnded(this.keepsAlive);
  }
}
