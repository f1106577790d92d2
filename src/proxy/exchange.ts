import { type ErrorCode, errorKind } from '../base/errors.ts';
import { invariant } from '../base/invariant.ts';
import type { FieldLines } from '../http/field-lines.ts';
import { Field } from '../http/field-names.ts';
import type { ResponseView } from '../http/message.ts';
import { isIdempotent } from '../http/methods.ts';
import { type AskedRequest, type Refusal, refusalBy } from '../policy/admission.ts';
import { type HostPolicy, whyNotAdmitted } from '../policy/host-policy.ts';
import type { Backend } from '../routing/backend.ts';
import { chooseIn } from '../routing/canary.ts';
import type { Frontend } from '../routing/frontend.ts';
import { Attempt } from './attempt.ts';
import type { BackendStream } from './backend-stream.ts';
import { bindStream, boundBackend, freeStream } from './bound-streams.ts';
import type { ProxyContext } from './context.ts';
import { type Failure, isStale, isUnreachable, maySendAgain, maySettleLater } from './failure.ts';
import { beginRouting, routeAgain } from './find-route.ts';
import { judgeFailure, judgeResponse } from './judge.ts';
import { warnOfLimit } from './limit-warnings.ts';
import { type LocalReply, localReplyFor, replyOf } from './local-reply.ts';
import type { LocalResponder } from './local-responder.ts';
import type { EndedExchange } from './observer.ts';
import { ReplayBuffer } from './replay-buffer.ts';
import { editsFor } from './request-edits.ts';
import { RequestFacts } from './request-facts.ts';
import { localFields, responseEdits } from './response-edits.ts';
import { reserveRetry } from './retries.ts';
import type { RequestSink, ServerStream, TunnelEndpoint } from './server-stream.ts';
import { returnsToRoom, waitsAtDoor } from './waiting-door.ts';
import type { WaitingExchange, WaitingPlace } from './waiting-room.ts';

/** Bytes of a request body that must have come before a backend is asked, if it is that long. */
const firstBlockBytes = 16 * 1024;

/**
 * One request and its response: finds the frontend, attempts its backends in turn as long as that is safe, passes the
 * response on, and reports its end.
 */
export class Exchange extends RequestFacts implements RequestSink, EndedExchange, AskedRequest, WaitingExchange {
  /** Monotonic ms at which the head was complete. */
  readonly startMs: number;
  /** The one that responds or is being asked; null before and between attempts. */
  backend: Backend | null = null;
  /** Status sent to the client; 0 if none was. */
  status = 0;
  /** Why the exchange failed, or why the proxy sent a local reply; null on success. */
  errorCode: ErrorCode | null = null;
  errorDetail = '';
  /** Bytes written to the client; set when the exchange ends. */
  bytesSent = 0;
  attempts = 0;
  /** Monotonic ms at which the last attempt got a connection; 0 before. */
  sentMs = 0;
  /** Monotonic ms; 0 until it has ended. */
  endMs = 0;
  /** Whether the client's request has been read completely. */
  requestComplete: boolean;
  ended = false;
  isHealthCheck = false;
  /** Always: an exchange that becomes a tunnel continues as a `TunnelExchange`. */
  readonly isTunnel = false;
  readonly tunnelBytesReceived = 0;

  /** Whether its frontend counts it as in flight. */
  private isCounted = false;
  private attempt: Attempt | null = null;
  /** Backends that have failed; null for none. */
  tried: Backend[] | null = null;
  private replayBuffer: ReplayBuffer | null = null;
  private trailers: FieldLines | null = null;
  /** Whether any byte of a response has been sent to the client. */
  hasResponse = false;
  /** Monotonic ms. */
  firstAttemptMs = 0;
  private requestBlocked = false;
  place: WaitingPlace | null = null;
  hasToken = false;
  /** The policy whose rules have let it in. */
  private admittedBy: HostPolicy | null = null;
  /** Bytes of the request's body that have come. */
  bodyBytes = 0;
  /** No backend is asked before a first block of the body has come. */
  private isAwaitingBody = false;
  private responseBlocked = false;
  /** A kept connection had just been closed, or refused the stream. That is excused once; the second time counts as a failure. */
  private wasStale = false;
  private mayBeRefused = false;

  constructor(stream: ServerStream, context: ProxyContext) {
    super(stream, context);
    this.requestComplete = stream.request.bodyLength === 0;
    this.startMs = context.clock.monotonicMs();
    context.counters.requests++;
    context.counters.requestsInFlight++;
  }

  start(): void {
    beginRouting(this, this.context);
    this.replayBuffer?.keep();
  }

  /** The request, or the rest of it, cannot be read: replies, or aborts the stream if the response has begun. */
  refuse(code: ErrorCode, detail: string): void {
    if (this.hasResponse) {
      this.stream.abort(code);
      this.onAborted(code, detail);
    } else {
      this.fail(code, detail);
    }
  }

  onData(bytes: Buffer, start: number, end: number): void {
    this.bodyBytes += end - start;
    if (this.bodyBytes > this.policy.requestBodyBytesMax) {
      this.refuse('REQUEST_BODY_TOO_LARGE', `more than ${this.policy.requestBodyBytesMax} bytes`);
      return;
    }
    if (!this.hasResponse) this.keepForReplay(bytes, start, end);
    this.attempt?.sendData(bytes, start, end);
  }

  onEnd(trailers: FieldLines | null): void {
    this.requestComplete = true;
    this.trailers = trailers;
    this.attempt?.sendEnd(trailers);
  }

  onFlush(): void {
    if (this.isAwaitingBody && this.hasFirstBlock) {
      this.isAwaitingBody = false;
      this.lookAgain();
      this.proceed();
    }
    this.replayBuffer?.keep();
    if (this.attempt === null || this.attempt.flush()) return;
    this.requestBlocked = true;
    this.stream.pauseRequest();
  }

  onDrain(): void {
    if (!this.responseBlocked) return;
    this.responseBlocked = false;
    this.attempt?.resumeResponse();
  }

  onAborted(code: ErrorCode, detail: string): void {
    if (this.ended) return;
    this.errorCode = code;
    this.errorDetail = detail;
    this.end();
  }

  onTimeout(): void {
    this.refuse('REQUEST_TIMEOUT', 'body');
  }

  /** The attempt has a stream: sends as much of the request as has arrived. */
  onStream(stream: BackendStream, attempt: Attempt): void {
    const { context, replayBuffer, request } = this;
    this.sentMs = context.clock.monotonicMs();
    this.place?.room.connected(this.place);
    stream.start(attempt, request, editsFor(this, attempt.backend));
    if (replayBuffer?.isWhole) replayBuffer.sendTo(stream);
    if (this.requestComplete && request.bodyLength !== 0) attempt.sendEnd(this.trailers);
    this.mayBeRefused = stream.mayBeRefused;
    replayBuffer?.dropAbove(this.replayBytesMax(this.mayBeRefused));
    this.requestBlocked = !stream.flush();
    if (this.requestComplete) return;
    if (this.requestBlocked) this.stream.pauseRequest();
    else this.stream.resumeRequest();
  }

  onResponseHead(response: ResponseView, backend: Backend): void {
    invariant(!this.hasResponse, 'an exchange has one response');
    const { status } = response;
    judgeResponse(backend, status, response.hasRetryAfter, this, this.policy, this.context);
    if (this.switchesBy(status)) {
      this.fail('BACKEND_RESPONSE_INVALID', 'a success in place of a switch', backend);
      return;
    }
    this.hasResponse = true;
    this.noteFirstByte(this.startMs);
    this.status = status;
    this.replayBuffer = null;
    this.stream.sendHead(response, responseEdits(this, backend, this.context));
  }

  /** Writes the response so far. @returns false if the client is slow: `Attempt.resumeResponse` follows. */
  flushResponse(): boolean {
    if (this.stream.flush() || this.ended) return true;
    this.responseBlocked = true;
    return false;
  }

  onResponseEnd(trailers: FieldLines | null): void {
    this.stream.sendEnd(trailers);
    this.end();
  }

  onSwitch(response: ResponseView, backendEndpoint: TunnelEndpoint): void {
    const { context } = this;
    this.hasResponse = true;
    this.noteFirstByte(this.startMs);
    this.status = response.status;
    this.ended = true;
    this.attempt = null;
    context.counters.requestsInFlight--;
    const clientEndpoint = this.stream.openTunnel(response, responseEdits(this, this.backend, context));
    this.bytesSent = this.stream.bytesSent;
    // The tunnel is counted before the stream is released, so that the connection is always counted at least once.
    const isWebSocket = this.request.protocol === 'websocket';
    context.tunnels.begin(context, this, clientEndpoint, backendEndpoint, isWebSocket);
    this.stream.release();
  }

  onAttemptFailed(failure: Failure, backend: Backend): void {
    this.attempt = null;
    if (this.hasResponse) {
      this.stream.abort(failure.code);
      this.onAborted(failure.code, failure.detail);
      return;
    }
    this.backend = null;
    if (this.place?.isPilot === true && maySettleLater(failure)) {
      this.returnToRoom(backend);
      return;
    }
    judgeFailure(backend, failure, this, this.policy, this.context);
    const isWhole = this.replayBuffer === null || this.replayBuffer.isWhole;
    if (!isWhole || !maySendAgain(failure, isIdempotent(this.method), this.policy.retryTimeouts)) {
      this.fail(failure.code, failure.detail, backend);
      return;
    }
    if (isStale(failure) && !this.wasStale) {
      this.wasStale = true;
      this.context.counters.retries++;
      this.attemptOn(backend, true);
      return;
    }
    const refusal = reserveRetry(this, this.lookAgain(), backend, this.context.clock.monotonicMs());
    // A backend that has had the request is not asked again and again for it.
    if (refusal !== null && this.policy.hold !== null && isUnreachable(failure) && this.sentMs === 0) {
      this.returnToRoom(backend);
    } else if (refusal !== null) {
      this.fail(failure.code, failure.detail, backend, errorKind(failure.code).marks === 'never' ? undefined : refusal);
    } else {
      this.context.counters.retries++;
      this.proceed();
    }
  }

  /**
   * The handling of an event of the backend threw. The backend's connection has no part in that, and would not end the
   * client's.
   */
  onInternalError(error: Error): void {
    this.context.onInternalError('an exchange', error);
    this.stream.abort(null);
  }

  onRequestDrain(): void {
    if (!this.requestBlocked) return;
    this.requestBlocked = false;
    this.stream.resumeRequest();
  }

  /** Waits with the request, whose body is not read meanwhile. @param next not called if the exchange has ended. */
  wait<T>(promise: Promise<T>, next: (found: T) => void): void {
    if (!this.requestComplete) this.stream.pauseRequest();
    promise
      .then(
        (found) => {
          if (!this.ended) next(found);
        },
        (error: Error) => {
          if (!this.ended) this.fail('STORE_UNAVAILABLE', error.message);
        },
      )
      .catch((error: Error) => this.onInternalError(error));
  }

  /** The lookup has ended. @param frontend null if no route matches. */
  route(frontend: Frontend | null): void {
    if (frontend === null) {
      if (this.host === '') this.fail('HOST_MISSING', '');
      else this.turnAway({ code: 'ROUTE_NOT_FOUND', status: 400, detail: this.host, fields: null });
      return;
    }
    this.frontend = frontend;
    this.stream.effects = null;
    const { policy } = this;
    if (this.request.offersProtocols) this.stream.chooseProtocol(policy.upgrades);
    const refusal = policy.rules === null ? null : refusalBy(policy.rules, this);
    if (refusal instanceof Promise) this.wait(refusal, (found) => this.decide(this.lookAgain(), found, policy));
    else this.decide(frontend, refusal);
  }

  /** @param policy that of the rules: if it is another one by now, the present rules are asked. */
  private decide(frontend: Frontend, refusal: Refusal | null, policy = this.policy): void {
    if (policy !== this.policy) routeAgain(this, this.context);
    else if (refusal === null) this.admit(frontend, policy);
    else this.turnAway(refusal);
  }

  private admit(frontend: Frontend, policy: HostPolicy): void {
    const isFirst = this.admittedBy === null;
    this.admittedBy = policy;
    if ((policy.hold !== null || policy.queue !== null) && waitsAtDoor(this, frontend, policy, this.context)) return;
    const isTunnel = this.request.protocol !== null;
    const problem = whyNotAdmitted(policy, frontend.load, isTunnel);
    if (problem !== '') {
      const detail = `${frontend.pattern} has ${problem}`;
      this.turnAway({ code: 'OVERLOADED', status: 503, detail, fields: null });
      return;
    }
    this.isCounted = true;
    this.place?.room.admitted(this.place);
    if (isTunnel) frontend.load.tunnels++;
    frontend.load.inFlight++;
    if (policy.idleAfterMs > 0) this.context.activity.touch(frontend);
    if (isFirst) frontend.retryBudget.countRequest(this.startMs, policy.retryBudget);
    if (this.hasFirstBlock) {
      this.tryNext();
    } else {
      this.isAwaitingBody = true;
      this.stream.resumeRequest();
    }
  }

  /**
   * Whether enough of the body has come to ask a backend, so that clients that trickle their bodies hold none of its
   * connections. A client that expects `100-continue` waits for the backend.
   */
  get hasFirstBlock(): boolean {
    if (this.requestComplete || this.request.protocol !== null || this.context.settings.bodyRateMin === 0) return true;
    if ((this.replayBuffer?.size ?? 0) >= firstBlockBytes || this.request.value(Field.EXPECT) !== null) return true;
    // The next message of a call may be the response to one of the backend.
    return this.isCall;
  }

  /** Goes on to a backend, unless the rules that let the request in have changed meanwhile. */
  private proceed(): void {
    if (this.admittedBy === this.policy) {
      this.tryNext();
      return;
    }
    this.uncount();
    routeAgain(this, this.context);
  }

  private tryNext(): void {
    const { frontend } = this;
    invariant(frontend !== null, 'only a frontend has backends to try');
    const backend = this.choose(frontend);
    if (backend !== null) this.attemptOn(backend, false);
    else if (this.policy.hold !== null && this.sentMs === 0) this.returnToRoom(null);
    else this.fail('BACKEND_NONE', frontend.pattern);
  }

  private attemptOn(backend: Backend, onNewConnection: boolean): void {
    const { context } = this;
    this.backend = backend;
    if (this.attempts++ === 0) this.firstAttemptMs = context.clock.monotonicMs();
    const attempt = new Attempt(this, backend, context.origins.of(backend, context));
    this.attempt = attempt;
    attempt.start(onNewConnection);
    if (!this.ended && !this.requestComplete && this.attempt?.isSending !== true) this.stream.pauseRequest();
  }

  boundStream(backend: Backend): BackendStream | null {
    return freeStream(this.stream.bound, this.pattern, backend);
  }

  onBound(stream: BackendStream, backend: Backend): void {
    if (this.frontend !== null) bindStream(this.stream, this.pattern, backend, stream);
  }

  private choose(frontend: Frontend): Backend | null {
    const own = this.tried === null ? boundBackend(this.stream.bound, frontend) : null;
    return own ?? chooseIn(frontend, this.policy, this, this.tried, this.context.clock.epochMs());
  }

  private keepForReplay(bytes: Buffer, start: number, end: number): void {
    this.replayBuffer ??= new ReplayBuffer();
    // Bytes that no backend has received must be kept. The client is paused meanwhile: it is at most one read.
    if (this.attempt?.isSending !== true) this.replayBuffer.add(bytes, start, end);
    else this.replayBuffer.addSent(bytes, start, end, this.replayBytesMax(this.mayBeRefused));
  }

  /** A responder replies in place of a backend. */
  replyFor(responder: LocalResponder, reply: LocalReply): void {
    this.isHealthCheck = responder.isHealthCheck;
    this.hasResponse = true;
    this.status = reply.status;
    this.errorCode = reply.code ?? null;
    this.stream.sendLocal(this.context.hostPages.with(reply, this.errorCode, this), this.errorCode, null);
    this.end();
  }

  /** Sends an error reply. @param failed backend of the last attempt. @param text replaces that of the code. */
  fail(code: ErrorCode, detail: string, failed: Backend | null = null, text?: string): void {
    this.reply(localReplyFor(code, detail, text), code, detail, failed);
  }

  /** Refuses the request, behind those that are let in. A redirect is no refusal, and a place in a room is to be left. */
  private turnAway(refusal: Refusal): void {
    if (refusal.code === null || this.place !== null) {
      this.giveUp(refusal);
      return;
    }
    if (!this.requestComplete) this.stream.pauseRequest();
    this.context.refusals.add(this, refusal);
  }

  private reply(reply: LocalReply, code: ErrorCode | null, detail: string, failed: Backend | null): void {
    invariant(!this.hasResponse, 'a local reply is the only response');
    this.errorCode = code;
    this.errorDetail = detail;
    this.hasResponse = true;
    this.status = reply.status;
    const fields = localFields(this, this.backend ?? failed, reply.text, this.context);
    this.stream.sendLocal(this.context.hostPages.with(reply, code, this), code, fields);
    this.end();
  }

  get keptBytes(): number {
    return this.replayBuffer?.size ?? 0;
  }

  goOn(): void {
    const frontend = this.lookAgain();
    // Its rules may be others by now.
    if (this.admittedBy === this.policy) this.admit(frontend, this.policy);
    else routeAgain(this, this.context);
  }

  /** Sends the reply of a rule of the host, or of a room. */
  giveUp(refusal: Refusal): void {
    this.reply(replyOf(refusal), refusal.code, refusal.detail, null);
  }

  comeBack(): boolean {
    const { attempt } = this;
    if (this.hasResponse || attempt?.isSending === true) return false;
    this.attempt = null;
    this.backend = null;
    this.isAwaitingBody = false;
    attempt?.end();
    this.uncount();
    this.pause();
    return true;
  }

  pause(): void {
    if (this.policy.idleAfterMs > 0 && this.frontend !== null) this.context.activity.touch(this.frontend);
    if (!this.requestComplete) this.stream.pauseRequest();
  }

  /** No backend is there: the request waits for one, as it did before, or begins to. @param backend the last one. */
  private returnToRoom(backend: Backend | null): void {
    this.uncount();
    this.tried = null;
    this.attempts = 0;
    this.pause();
    if (this.frontend !== null) returnsToRoom(this, this.frontend, backend, this.context);
  }

  /** Its frontend does not count it as in flight any more. */
  private uncount(): void {
    const { frontend } = this;
    if (frontend === null || !this.isCounted) return;
    this.isCounted = false;
    frontend.load.inFlight--;
    if (this.request.protocol !== null) frontend.load.tunnels--;
    if (this.policy.idleAfterMs > 0) this.context.activity.touch(frontend);
  }

  private end(): void {
    if (this.ended) return;
    this.ended = true;
    this.stream.effects?.onEnded?.();
    const { attempt, context } = this;
    this.endMs = context.clock.monotonicMs();
    context.counters.requestsInFlight--;
    this.uncount();
    this.attempt = null;
    this.replayBuffer = null;
    attempt?.end();
    this.place?.room.leave(this.place);
    this.bytesSent = this.stream.bytesSent;
    if (this.errorCode !== null) {
      warnOfLimit(this.errorCode, this.host || (this.request.authority ?? ''), this.errorDetail, context);
    }
    context.observer.exchangeEnded(this);
    this.stream.release();
    this.frontend?.load.waiting?.placeFreed();
  }
}
