import type { GrpcCall } from '../http/grpc.ts';
import type { BackendTimeouts, HostPolicy } from '../policy/host-policy.ts';
import type { Backend } from '../routing/backend.ts';
import type { Failure } from './failure.ts';

/**
 * The times of a call of gRPC. Its client says how long it waits, and messages may be as far apart as those of a tunnel. A server
 * need not read one before it is done with the last.
 * @param isComplete whether the request has been read completely.
 */
export function callTimeouts(
  { timeoutMs }: GrpcCall,
  { timeouts, tunnelIdleMs }: HostPolicy,
  isComplete: boolean,
): BackendTimeouts {
  const { connectMs, responseMs } = timeouts;
  const ownMs = isComplete ? responseMs : tunnelIdleMs;
  if (timeoutMs === null) return { connectMs, responseMs: ownMs, responseIdleMs: tunnelIdleMs };
  // 0 would be no limit.
  const deadlineMs = Math.max(1, Math.min(timeoutMs, tunnelIdleMs || timeoutMs));
  return { connectMs, responseMs: deadlineMs, responseIdleMs: tunnelIdleMs };
}

/**
 * Whether a backend may speak HTTP/2. A request to another one is no call, whatever it says of itself.
 * @param alpn what is offered to backends with TLS.
 */
export function mayCarryCalls({ isHttp2, tlsName }: Backend, alpn: readonly string[]): boolean {
  return isHttp2 || (tlsName !== null && alpn.includes('h2'));
}

/** Whether a backend was too slow only for the deadline of the client, which says nothing of the backend. */
export function isOwnDeadline({ code }: Failure, call: GrpcCall | null, { timeouts }: HostPolicy): boolean {
  if (code !== 'BACKEND_TIMEOUT' || call === null || call.timeoutMs === null) return false;
  return timeouts.responseMs === 0 || call.timeoutMs < timeouts.responseMs;
}
