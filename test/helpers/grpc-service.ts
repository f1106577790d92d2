/** The methods of a service whose messages are plain bytes: one of each kind. */
export type GrpcMethod = 'unary' | 'collect' | 'list' | 'chat';

/** A message is its own form on the wire. */
function same(bytes: Buffer): Buffer {
  return bytes;
}

/** How messages become bytes, and back. */
export const plainBytes = {
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
};

export function grpcPath(method: GrpcMethod): string {
  return `/test.Echo/${method}`;
}
