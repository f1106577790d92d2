import type { ErrorCode } from '../base/errors.ts';
import { invariant } from '../base/invariant.ts';
import type { FieldLines } from '../http/field-lines.ts';
import type { ResponseView } from '../http/message.ts';
import type { BackendTimeouts } from '../policy/host-policy.ts';
import type { Backend } from '../routing/backend.ts';
import type { BackendStream, Origin, ResponseSink, StreamWaiter } from './backend-stream.ts';
import { callTimeouts, isOwnDeadline } from './call-timeouts.ts';
import type { Exchange } from './exchange.ts';
import type { Failure } from './failure.ts';
import type { TunnelEndpoint } from './server-stream.ts';

/** One attempt of an exchange: its request on the way to one backend, and the response on its way back. */
export class Attempt implements StreamWaiter, ResponseSink {
  readonly backend: Backend;
  private readonly exchange: Exchange;
  /** The origin it waits for; null once it has a stream or has failed to get one. */
  private origin: Origin | null;
  /** Null while the attempt waits for a stream, and once it has ended. */
  private stream: BackendStream | null = null;

  /** The backend counts the attempt as in flight until it ends. */
  constructor(exchange: Exchange, backend: Backend, origin: Origin) {
    this.exchange = exchange;
    this.backend = backend;
    this.origin = origin;
    backend.inFlight++;
  }

  get timeouts(): BackendTimeouts {
    const { exchange } = this;
    const { grpcCall, policy } = exchange;
    if (grpcCall === null || !exchange.isCall) return policy.timeouts;
    return callTimeouts(grpcCall, policy, exchange.requestComplete);
  }

  get carries(): StreamWaiter['carries'] {
    const { authenticatesConnection, protocol } = this.exchange.request;
    if (protocol === null && !authenticatesConnection) return 'message';
    return protocol === 'websocket' ? protocol : 'http/1.1';
  }

  /** Whether the request is being sent to the backend. */
  get isSending(): boolean {
    return this.stream !== null;
  }

  /** Asks for a stream. @param onNewConnection because a kept one had just been closed. */
  start(onNewConnection: boolean): void {
    const bound = onNewConnection ? null : this.exchange.boundStream(this.backend);
    if (bound !== null) {
      this.onStream(bound);
      return;
    }
    // The length of a chunked body may turn out to be more than is kept.
    const isSafe = this.exchange.isReplayable && this.exchange.request.bodyLength >= 0;
    this.origin?.acquire(this, onNewConnection ? 'new' : isSafe ? 'any' : 'proven');
  }

  sendData(bytes: Buffer, start: number, end: number): void {
    this.stream?.sendData(bytes, start, end);
  }

  sendEnd(trailers: FieldLines | null): void {
    // Fields that the host sets for backends must not be there in a second form.
    const { policy, stream } = this.exchange;
    const isChanged = policy.requestFields !== null || (stream.effects?.backendFields ?? null) !== null;
    this.stream?.sendEnd(isChanged ? null : trailers);
  }

  /** @returns false if the backend does not keep up. */
  flush(): boolean {
    return this.stream === null || this.stream.flush();
  }

  resumeResponse(): void {
    this.stream?.resumeResponse();
  }

  /** The exchange has ended: cancels whatever is still in progress. */
  end(): void {
    const { stream } = this;
    this.stream = null;
    this.backend.inFlight--;
    this.origin?.cancel(this);
    this.origin = null;
    stream?.cancel();
  }

  onStream(stream: BackendStream): void {
    invariant(this.origin !== null, 'an attempt gets a stream only while it waits for one');
    this.origin = null;
    this.stream = stream;
    try {
      this.exchange.onStream(stream, this);
    } catch (error) {
      this.exchange.onInternalError(error as Error);
    }
  }

  onNoStream(code: ErrorCode, detail: string): void {
    this.origin = null;
    this.fail({ code, detail, reused: false, progress: 'unsent' });
  }

  onInformational(response: ResponseView): void {
    try {
      this.exchange.stream.sendInformational(response);
    } catch (error) {
      this.exchange.onInternalError(error as Error);
    }
  }

  onHead(response: ResponseView): void {
    try {
      this.exchange.onResponseHead(response, this.backend);
    } catch (error) {
      this.exchange.onInternalError(error as Error);
    }
  }

  onData(bytes: Buffer, start: number, end: number): void {
    try {
      this.exchange.stream.sendData(bytes, start, end);
    } catch (error) {
      this.exchange.onInternalError(error as Error);
    }
  }

  onFlush(): void {
    try {
      if (!this.exchange.flushResponse()) this.stream?.pauseResponse();
    } catch (error) {
      this.exchange.onInternalError(error as Error);
    }
  }

  onBound(stream: BackendStream): void {
    this.exchange.onBound(stream, this.backend);
  }

  onEnd(trailers: FieldLines | null): void {
    this.stream = null;
    try {
      this.exchange.onResponseEnd(trailers);
    } catch (error) {
      this.exchange.onInternalError(error as Error);
    }
  }

  onSwitch(response: ResponseView, endpoint: TunnelEndpoint): void {
    this.stream = null;
    try {
      this.exchange.onSwitch(response, endpoint);
    } catch (error) {
      endpoint.stream.reset();
      this.exchange.onInternalError(error as Error);
    }
  }

  onFailed(failure: Failure): void {
    const { grpcCall, policy } = this.exchange;
    this.stream = null;
    this.fail(isOwnDeadline(failure, grpcCall, policy) ? { ...failure, code: 'REQUEST_DEADLINE' } : failure);
  }

  onDrain(): void {
    try {
      this.exchange.onRequestDrain();
    } catch (error) {
      this.exchange.onInternalError(error as Error);
    }
  }

  private fail(failure: Failure): void {
    this.backend.inFlight--;
    try {
      this.exchange.onAttemptFailed(failure, this.backend);
    } catch (error) {
      this.exchange.onInternalError(error as Error);
    }
  }
}
