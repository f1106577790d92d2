import type { Backend } from '../routing/backend.ts';
import { type Frontend, servingBackends } from '../routing/frontend.ts';
import type { BackendStream } from './backend-stream.ts';
import type { BoundStream, ServerStream } from './server-stream.ts';

/* Connections that a backend has authenticated for one client connection: see `isConnectionScheme`. */

/** The client's own connection to the backend, if it is free; null if there is none. */
export function freeStream(bound: BoundStream | null, pattern: string, backend: Backend): BackendStream | null {
  return bound !== null && bound.backend.url === backend.url && isFreeFor(bound, pattern) ? bound.stream : null;
}

/** The backend to which the client has a connection of its own; null for none. */
export function boundBackend(bound: BoundStream | null, frontend: Frontend): Backend | null {
  if (bound === null || !isFreeFor(bound, frontend.pattern)) return null;
  return servingBackends(frontend).find(({ url }) => url === bound.backend.url) ?? null;
}

/** The response has authenticated the connection to the backend: it serves this client connection from now on. */
export function bindStream(client: ServerStream, pattern: string, backend: Backend, stream: BackendStream): void {
  const { bound } = client;
  client.bound = { pattern, backend, stream };
  if (bound !== null && bound.stream !== stream) bound.stream.cancel();
}

function isFreeFor({ pattern, stream }: BoundStream, wanted: string): boolean {
  return pattern === wanted && stream.isFree;
}
