import type { ErrorCode } from '../base/errors.ts';
import { forwardRequestHead } from '../http1/forward-request.ts';
import { Framing } from '../http1/head.ts';
import type { RequestHead } from '../http1/request-head.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import { switchProblem } from '../http1/websocket.ts';
import type { Backend } from '../routing/backend.ts';
import { chooseBackend } from '../routing/choice.ts';
import type { Frontend } from '../routing/frontend.ts';
import { marksDown } from '../routing/health.ts';
import { normaliseHost } from '../routing/host.ts';
import type { ByteSocket } from '../sockets/byte-socket.ts';
import type { BackendConnection, ResponseSink } from './backend/http1-connection.ts';
import type { BackendPool, ConnectionWaiter } from './backend/pool.ts';
import type { ProxyContext } from './context.ts';
import { debugLines } from './debug-fields.ts';
import { isIdempotent, isOfBackend, marksBackend } from './failure.ts';
import { type LocalReply, localReplyFor, retriesDisabled, retriesUsedUp } from './local-reply.ts';
import type { EndedExchange } from './observer.ts';
import { ReplayBuffer } from './replay-buffer.ts';
import { clientAddress, identityLines, type Peer, replacedFields } from './server/client-identity.ts';

/** The client's side of an exchange: implemented for each protocol that clients speak. */
export interface ExchangeClient {
  readonly peer: Peer;
  sendInformational(response: ResponseHead): void;
  /** Queues the head of a backend's response. @param extraLines further fields. */
  sendHead(response: ResponseHead, extraLines: string): void;
  sendData(bytes: Buffer, start: number, end: number): void;
  sendEnd(trailerLines: string): void;
  /** The response was a 101: the connection becomes one end of a tunnel. `fromBackend` is valid during the call. */
  startTunnel(response: ResponseHead, extraLines: string, backend: ByteSocket, fromBackend: Buffer): void;
  /** A whole response of the proxy's own. */
  sendLocal(response: LocalReply, code: ErrorCode | null, extraLines: string): void;
  /** Writes what is queued. @returns false where the client is slow: `Exchange.onClientDrain` follows. */
  flush(): boolean;
  /** Ends the connection so that the client sees that the response is not whole. */
  reset(): void;
  pauseBody(): void;
  resumeBody(): void;
  /** The exchange is over: the next one may begin. */
  exchangeDone(): void;
}

/** A connection used longer ago than this may be closed by the backend just now: not for a request sent only once. */
const unsafeReuseMsMax = 1000;

/** The Host of the health check of the proxy itself. */
const pingHost = '__ping__';

/**
 * One request and its response: finds the frontend, chooses a backend, sends the request, passes the response on, and
 * tries again where that is safe (design 6.3 and 6.5).
 */
export class Exchange implements ResponseSink, ConnectionWaiter, EndedExchange {
  readonly client: ExchangeClient;
  readonly head: RequestHead;
  readonly method: string;
  /** Monotonic ms at which the head was complete. */
  readonly startMs: number;
  frontend: Frontend | null = null;
  backend: Backend | null = null;
  /** Normalised host; empty before routing or where there is none. */
  host = '';
  /** Status given to the client; 0 where none was. */
  status = 0;
  /** Why the exchange did not end well, or that it was answered by the proxy itself; null where all went well. */
  errorCode: ErrorCode | null = null;
  errorDetail = '';
  /** Bytes written to the client; set at the end. */
  bytesSent = 0;
  readonly tunnelBytesReceived = 0;
  /** Backends asked. */
  attempts = 0;
  /** Monotonic ms; 0 while no request has been sent. */
  sentMs = 0;
  /** Monotonic ms; 0 while not ended. */
  endMs = 0;
  /** Whether the request has been read whole from the client. */
  requestComplete: boolean;
  ended = false;
  /** Whether it asked for the health of the proxy itself. */
  isPing = false;
  /** What becomes one goes on as a `TunnelExchange`. */
  readonly isTunnel = false;

  private readonly context: ProxyContext;
  private tried: Backend[] | null = null;
  private pool: BackendPool | null = null;
  private connection: BackendConnection | null = null;
  private replayBuffer: ReplayBuffer | null = null;
  private trailerLines = '';
  private responseStarted = false;
  private requestBlocked = false;
  private responseBlocked = false;
  /** Set where the same backend is to be asked over a new connection. */
  private again: Backend | null = null;
  /** That is done once: the next such end counts as a failure like any other. */
  private wasStale = false;

  constructor(client: ExchangeClient, head: RequestHead, context: ProxyContext) {
    this.client = client;
    this.head = head;
    this.context = context;
    this.method = head.method;
    this.requestComplete = head.framing === Framing.NONE;
    this.startMs = context.clock.monotonicMs();
    context.counters.requests++;
    context.counters.requestsInFlight++;
  }

  /** Whether any byte of a response has been given to the client. */
  get isResponded(): boolean {
    return this.responseStarted;
  }

  start(): void {
    this.begin();
    this.replayBuffer?.keep();
  }

  private begin(): void {
    const { authority } = this.head;
    if (authority === null || authority === '') {
      this.replyLocally('HOST_MISSING', '');
      return;
    }
    if (authority === pingHost) {
      this.replyToPing();
      return;
    }
    const host = normaliseHost(authority);
    if (host === null) {
      this.replyLocally('REQUEST_INVALID', 'host');
      return;
    }
    this.host = host;
    const frontend = this.context.routes.cached(host);
    if (frontend !== undefined) this.route(frontend);
    else this.loadRoute(host);
  }

  /** The head was refused: answers for it, and the client's connection ends. */
  refuse(code: ErrorCode, detail: string): void {
    this.replyLocally(code, detail);
  }

  /** Data of the request's body, in order. */
  onRequestData(bytes: Buffer, start: number, end: number): void {
    const { connection } = this;
    if (!this.responseStarted) this.hold(bytes, start, end);
    connection?.sendData(bytes, start, end);
  }

  onRequestEnd(trailerLines: string): void {
    this.requestComplete = true;
    this.trailerLines = trailerLines;
    this.connection?.sendEnd(trailerLines);
  }

  /** The views of one read from the client have all been handed over. */
  onRequestFlush(): void {
    const { connection } = this;
    this.replayBuffer?.keep();
    if (connection === null || connection.flush()) return;
    this.requestBlocked = true;
    this.client.pauseBody();
  }

  onClientDrain(): void {
    if (!this.responseBlocked) return;
    this.responseBlocked = false;
    this.connection?.resumeResponse();
  }

  /** The client is gone, or is to be given up: nothing more can be sent to it. */
  onClientGone(code: ErrorCode, detail: string): void {
    if (this.ended) return;
    this.errorCode = code;
    this.errorDetail = detail;
    this.end();
  }

  /** The client stopped sending its request. */
  onClientTimeout(): void {
    if (this.responseStarted) {
      this.client.reset();
      this.onClientGone('REQUEST_TIMEOUT', 'body');
    } else {
      this.replyLocally('REQUEST_TIMEOUT', 'body');
    }
  }

  onConnection(connection: BackendConnection): void {
    const { client, context, head, replayBuffer } = this;
    this.pool = null;
    this.connection = connection;
    this.sentMs = context.clock.monotonicMs();
    const identity = identityLines(client.peer, head, this.clientAddress);
    const forwarded = forwardRequestHead(
      head,
      identity,
      replacedFields(client.peer),
      context.settings.backendKeepAlive,
    );
    connection.send(this, forwarded, head.framing);
    if (replayBuffer?.isWhole) replayBuffer.sendTo(connection);
    if (this.requestComplete && head.framing !== Framing.NONE) connection.sendEnd(this.trailerLines);
    if (!this.canBeSentAgain) replayBuffer?.drop();
    else replayBuffer?.dropAbove(context.settings.retryBodyBytesMax);
    this.requestBlocked = !connection.flush();
    if (!this.requestComplete) {
      if (this.requestBlocked) client.pauseBody();
      else client.resumeBody();
    }
  }

  onNoConnection(code: ErrorCode, detail: string): void {
    this.pool = null;
    this.attemptFailed(code, detail, true);
  }

  onInformational(response: ResponseHead): void {
    this.client.sendInformational(response);
  }

  onResponse(response: ResponseHead): void {
    const { backend, context, frontend } = this;
    this.responseStarted = true;
    this.status = response.status;
    this.replayBuffer = null;
    if (
      response.status >= 500 &&
      frontend !== null &&
      backend !== null &&
      marksDown(response.status, response.hasRetryAfter, context.settings.downOn500)
    ) {
      this.mark(frontend, backend, `status ${response.status}`);
    }
    this.client.sendHead(response, this.shownDebugLines());
  }

  onResponseData(bytes: Buffer, start: number, end: number): void {
    this.client.sendData(bytes, start, end);
  }

  onResponseFlush(): void {
    if (this.client.flush() || this.connection === null) return;
    this.responseBlocked = true;
    this.connection.pauseResponse();
  }

  onResponseEnd(trailerLines: string): void {
    this.connection = null;
    this.client.sendEnd(trailerLines);
    this.end();
  }

  switchProblem(response: ResponseHead): string {
    const { webSocketKey } = this.head;
    return webSocketKey === null ? 'upgrade not asked for' : switchProblem(response, webSocketKey);
  }

  onSwitch(response: ResponseHead, backend: ByteSocket, fromBackend: Buffer): void {
    const { context } = this;
    this.connection = null;
    this.responseStarted = true;
    this.status = response.status;
    this.ended = true;
    context.counters.requestsInFlight--;
    this.client.startTunnel(response, this.shownDebugLines(), backend, fromBackend);
  }

  onAttemptFailed(code: ErrorCode, detail: string, answered: boolean): void {
    const reused = this.connection?.reused === true;
    this.connection = null;
    if (this.responseStarted) {
      this.errorCode = code;
      this.errorDetail = detail;
      this.client.reset();
      this.end();
      return;
    }
    this.attemptFailed(code, detail, false, answered, reused);
  }

  onRequestDrain(): void {
    if (!this.requestBlocked) return;
    this.requestBlocked = false;
    if (!this.requestComplete) this.client.resumeBody();
  }

  /** Who asked, as the log shows it. */
  get clientAddress(): string {
    return clientAddress(this.client.peer, this.head, this.context.settings.trustedProxies);
  }

  get target(): string {
    return this.head.target;
  }

  get versionMinor(): number {
    return this.head.versionMinor;
  }

  get referer(): string | null {
    return this.head.refererField < 0 ? null : this.head.fieldValue(this.head.refererField);
  }

  get userAgent(): string | null {
    return this.head.userAgentField < 0 ? null : this.head.fieldValue(this.head.userAgentField);
  }

  private get wantsDebug(): boolean {
    return this.head.debugField >= 0 && this.client.peer.trusted;
  }

  private shownDebugLines(): string {
    return this.wantsDebug ? debugLines(this, this.context.version, this.context.clock.monotonicMs()) : '';
  }

  private loadRoute(host: string): void {
    if (!this.requestComplete) this.client.pauseBody();
    this.context.routes
      .load(host)
      .then(
        (frontend) => {
          if (!this.ended) this.route(frontend);
        },
        (error: Error) => {
          if (!this.ended) this.replyLocally('STORE_UNAVAILABLE', error.message);
        },
      )
      .catch((error: Error) => {
        this.context.onProblem('internal error in an exchange', error);
        this.client.reset();
      });
  }

  private route(frontend: Frontend | null): void {
    if (frontend === null) {
      this.replyLocally('ROUTE_NOT_FOUND', this.host);
      return;
    }
    this.frontend = frontend;
    if (frontend.load.inFlight >= this.context.settings.requestsPerHostMax) {
      this.frontend = null;
      this.replyLocally('OVERLOADED', `${frontend.pattern} has ${frontend.load.inFlight} requests in flight`);
      return;
    }
    if (this.head.webSocketKey !== null && frontend.load.tunnels >= this.context.settings.tunnelsPerHostMax) {
      this.frontend = null;
      this.replyLocally('OVERLOADED', `${frontend.pattern} has ${frontend.load.tunnels} tunnels`);
      return;
    }
    if (this.head.webSocketKey !== null) frontend.load.tunnels++;
    frontend.load.inFlight++;
    frontend.retryBudget.countRequest(this.startMs, this.context.settings.retryBudget);
    this.attempt(frontend);
  }

  private attempt(frontend: Frontend): void {
    const { context } = this;
    const backend = this.again ?? chooseBackend(frontend, context.clock.epochMs(), context.random, this.tried);
    if (backend === null) {
      this.replyLocally('BACKEND_NONE', frontend.pattern);
      return;
    }
    this.backend = backend;
    backend.inFlight++;
    this.attempts++;
    const pool = context.pools.of(backend, context);
    this.pool = pool;
    const unusedMsMax =
      this.again !== null ? 0 : isIdempotent(this.method) ? Number.POSITIVE_INFINITY : unsafeReuseMsMax;
    this.again = null;
    pool.take(this, unusedMsMax);
    if (!this.ended && !this.requestComplete && this.connection === null) this.client.pauseBody();
  }

  /**
   * @param unsent nothing of the request has left.
   * @param answered bytes of a response have come, though no head.
   * @param reused the connection had served before, so that its end may have nothing to do with this request.
   */
  private attemptFailed(code: ErrorCode, detail: string, unsent: boolean, answered = false, reused = false): void {
    const { context } = this;
    const { backend, frontend } = this;
    if (backend === null || frontend === null) return;
    backend.inFlight--;
    this.backend = null;
    // The end of a kept connection may have nothing to do with this request: it says nothing of the backend either.
    const isStale = reused && !answered && code === 'BACKEND_RESET';
    // Nor does the end of one that was still being sent a body: who sends too much must not mark the backend for all.
    const isCutOff = code === 'BACKEND_RESET' && !this.requestComplete;
    if (marksBackend(code) && !isStale && !isCutOff) this.mark(frontend, backend, code);
    const isSafe = unsent ? isOfBackend(code) : !answered && isIdempotent(this.method);
    const isWhole = this.replayBuffer === null || this.replayBuffer.isWhole;
    if (!isSafe || !isWhole) {
      this.replyLocally(code, detail, backend);
      return;
    }
    if (isStale && !this.wasStale) {
      this.wasStale = true;
      this.again = backend;
    } else {
      const refusal = this.refuseRetry(frontend, backend);
      if (refusal !== null) {
        this.replyLocally(code, detail, backend, marksBackend(code) ? refusal : undefined);
        return;
      }
    }
    context.counters.retries++;
    this.attempt(frontend);
  }

  /** The text of the response where there is to be no further try; null where one is counted and may begin. */
  private refuseRetry(frontend: Frontend, failed: Backend): string | null {
    const { clock, settings, random } = this.context;
    if (settings.retriesMax === 0) return retriesDisabled;
    if (this.attempts > settings.retriesMax) return retriesUsedUp;
    this.tried ??= [];
    this.tried.push(failed);
    if (chooseBackend(frontend, clock.epochMs(), random, this.tried) === null) return retriesUsedUp;
    return frontend.retryBudget.takeRetry(clock.monotonicMs(), settings.retryBudget) ? null : retriesUsedUp;
  }

  /** Whether it is of use to keep the body once it has been sent. */
  private get canBeSentAgain(): boolean {
    const { retryBodyBytesMax } = this.context.settings;
    const { contentLength, framing } = this.head;
    return (framing !== Framing.LENGTH || contentLength <= retryBodyBytesMax) && isIdempotent(this.method);
  }

  private mark(frontend: Frontend, backend: Backend, reason: string): void {
    if (this.context.settings.downMs === 0) return;
    this.context.routes.markDown(frontend, backend, reason, this.context.settings.downMs);
  }

  private hold(bytes: Buffer, start: number, end: number): void {
    this.replayBuffer ??= new ReplayBuffer();
    const { replayBuffer } = this;
    if (this.connection === null) {
      // What no backend has seen yet must be kept; the client is paused meanwhile, so that it is one read at most.
      replayBuffer.add(bytes, start, end);
    } else if (!this.canBeSentAgain) {
      replayBuffer.drop();
    } else if (replayBuffer.isWhole) {
      replayBuffer.add(bytes, start, end);
      replayBuffer.dropAbove(this.context.settings.retryBodyBytesMax);
    }
  }

  private replyToPing(): void {
    this.isPing = true;
    this.responseStarted = true;
    this.status = 200;
    this.client.sendLocal({ status: 200, text: 'ok' }, null, '');
    this.end();
  }

  private replyLocally(code: ErrorCode, detail: string, backend: Backend | null = null, text?: string): void {
    const response = localReplyFor(code);
    const said = text === undefined ? response : { status: response.status, text };
    this.errorCode = code;
    this.errorDetail = detail;
    this.responseStarted = true;
    this.status = said.status;
    const shown = this.wantsDebug
      ? debugLines(this, this.context.version, this.context.clock.monotonicMs(), backend, said.text)
      : '';
    this.client.sendLocal(said, code, shown);
    this.end();
  }

  private end(): void {
    if (this.ended) return;
    this.ended = true;
    const { connection, context, frontend } = this;
    this.endMs = context.clock.monotonicMs();
    context.counters.requestsInFlight--;
    if (this.backend !== null) this.backend.inFlight--;
    if (frontend !== null) {
      frontend.load.inFlight--;
      if (this.head.webSocketKey !== null) frontend.load.tunnels--;
    }
    this.pool?.cancel(this);
    this.pool = null;
    this.connection = null;
    this.replayBuffer = null;
    connection?.abandon();
    this.client.exchangeDone();
  }
}
