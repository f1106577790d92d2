import { invariant } from '../base/invariant.ts';
import type { FieldEdits } from '../http/field-lines.ts';
import { Field } from '../http/field-names.ts';
import { type GrpcCall, readGrpcCall } from '../http/grpc.ts';
import type { HttpVersion, RequestView } from '../http/message.ts';
import { isIdempotent } from '../http/methods.ts';
import type { HostPolicy } from '../policy/host-policy.ts';
import { type Frontend, servingBackends } from '../routing/frontend.ts';
import type { ShownByClient } from '../sockets/byte-socket.ts';
import { mayCarryCalls } from './call-timeouts.ts';
import { clientAddress, identityEdits, isClientSecure, requestIdOf } from './client-identity.ts';
import type { ProxyContext } from './context.ts';
import type { ServerStream } from './server-stream.ts';
import { drawOf, newTraceId } from './trace-id.ts';

/** The facts about a request, its client, and its route. */
export class RequestFacts {
  readonly stream: ServerStream;
  frontend: Frontend | null = null;
  /** Normalised host; empty before routing, or if the request has none. */
  host = '';
  /** The path by which the frontend was found, with the query; null if that was by the host alone. */
  path: string | null = null;
  /** For backends, logs and local replies, if no trusted peer has named the request. */
  readonly traceId = newTraceId();
  protected readonly context: ProxyContext;
  /** Until the head of the response had come, in whole µs, which need no object of their own; -1 before. */
  private firstByteUs = -1;
  /** Null until it is needed; found once, because a trusted peer's fields have to be read for it. */
  private address: string | null = null;
  private call: GrpcCall | null | undefined;

  constructor(stream: ServerStream, context: ProxyContext) {
    this.stream = stream;
    this.context = context;
  }

  get request(): RequestView {
    return this.stream.request;
  }

  get method(): string {
    return this.request.method;
  }

  get target(): string {
    return this.request.target;
  }

  get version(): HttpVersion {
    return this.request.version;
  }

  get referer(): string | null {
    return this.request.value(Field.REFERER);
  }

  get userAgent(): string | null {
    return this.request.value(Field.USER_AGENT);
  }

  /** The request as a call of gRPC; null if it is none. */
  get grpcCall(): GrpcCall | null {
    if (this.call === undefined) this.call = readGrpcCall(this.request);
    return this.call;
  }

  /** Whether it is a call of gRPC to a host whose backends may be servers of that. */
  get isCall(): boolean {
    if (this.grpcCall === null || this.frontend === null) return false;
    const { alpn } = this.context.backendTls;
    return servingBackends(this.frontend).some((backend) => mayCarryCalls(backend, alpn));
  }

  /** The client's address as logs show it. */
  get clientAddress(): string {
    this.address ??= clientAddress(this.stream.peer, this.request, this.context.settings.trustedProxies);
    return this.address;
  }

  /** The port of the client's connection; 0 if another proxy has it. */
  get clientPort(): number {
    const { peer } = this.stream;
    return this.clientAddress === peer.address ? peer.port : 0;
  }

  get tlsVersion(): string | null {
    return this.stream.peer.tlsVersion;
  }

  /** See `EndedExchange.firstByteMs`. */
  get firstByteMs(): number {
    return this.firstByteUs < 0 ? -1 : this.firstByteUs / 1000;
  }

  /** The head of the response has come. @param startMs of the exchange. */
  protected noteFirstByte(startMs: number): void {
    this.firstByteUs = Math.round((this.context.clock.monotonicMs() - startMs) * 1000);
  }

  get draw(): number {
    return drawOf(this.traceId);
  }

  /** Whether the client uses https, to this proxy or to a trusted one before it. */
  get isSecure(): boolean {
    return isClientSecure(this.stream.peer, this.request);
  }

  /** The client as its TLS handshake with this proxy has shown it; null without one. */
  get clientTls(): ShownByClient | null {
    return this.stream.peer.shown;
  }

  get requestId(): string {
    return requestIdOf(this.stream.peer, this.request, this.traceId);
  }

  identityEdits(): FieldEdits {
    return identityEdits(this.stream.peer, this.request, this.clientAddress, this.traceId);
  }

  /** Whether the request can be resent once it has been sent, so that its body is worth keeping. */
  get isReplayable(): boolean {
    return this.request.bodyLength <= this.policy.retryBodyBytesMax && isIdempotent(this.method);
  }

  /** Whether the client would take a status for the switch that it wants (RFC 8441 section 5). */
  protected switchesBy(status: number): boolean {
    return this.request.protocol !== null && this.version === '2' && status < 300;
  }

  /** Bytes of the body that are kept once it is sent. @param mayBeRefused see `BackendStream`. */
  protected replayBytesMax(mayBeRefused: boolean): number {
    const max = this.policy.retryBodyBytesMax;
    return this.isReplayable || (mayBeRefused && this.request.bodyLength <= max) ? max : 0;
  }

  get policy(): HostPolicy {
    return this.frontend?.policy ?? this.context.policy;
  }

  get pattern(): string {
    return this.frontend?.pattern ?? '';
  }

  /** The request has waited: its backends may drain by now, and others serve. */
  protected lookAgain(): Frontend {
    invariant(this.frontend !== null, 'only a request that was routed looks again');
    this.frontend = this.context.routes.current(this.frontend);
    return this.frontend;
  }
}
