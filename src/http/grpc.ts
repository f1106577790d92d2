import { FieldLines } from './field-lines.ts';
import { namedValue, type RequestView } from './message.ts';

/** A request that is a call of gRPC (github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). */
export interface GrpcCall {
  /** The deadline of the client, in ms from the request; null for none. */
  readonly timeoutMs: number | null;
}

/** Codes of gRPC (github.com/grpc/grpc/blob/master/doc/statuscodes.md). */
export const GrpcStatus = {
  UNKNOWN: 2,
  DEADLINE_EXCEEDED: 4,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const;

/** As clients take the statuses of HTTP (github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md). */
const statuses: ReadonlyMap<number, number> = new Map<number, number>([
  [400, GrpcStatus.INTERNAL],
  [401, GrpcStatus.UNAUTHENTICATED],
  [403, GrpcStatus.PERMISSION_DENIED],
  [404, GrpcStatus.UNIMPLEMENTED],
  [429, GrpcStatus.UNAVAILABLE],
  [502, GrpcStatus.UNAVAILABLE],
  [503, GrpcStatus.UNAVAILABLE],
  [504, GrpcStatus.UNAVAILABLE],
]);

const unitsMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

/** Null for a request that is no call. gRPC-Web is none: it has its status in its body, and is HTTP like any other. */
export function readGrpcCall(request: RequestView): GrpcCall | null {
  if (request.version !== '2' || request.method !== 'POST') return null;
  const type = namedValue(request, 'content-type');
  if (type === null || !/^application\/grpc(?:$|[+; ])/i.test(type)) return null;
  const [, digits = '', unit = ''] = /^([0-9]{1,8})([HMSmun])$/.exec(namedValue(request, 'grpc-timeout') ?? '') ?? [];
  return { timeoutMs: unit === '' ? null : Number(digits) * (unitsMs[unit] as number) };
}

/** The code of gRPC for a status of HTTP. */
export function grpcStatusOf(status: number): number {
  return statuses.get(status) ?? GrpcStatus.UNKNOWN;
}

/** The fields that end a call. @param message any text. */
export function grpcStatusFields(status: number, message: string): FieldLines {
  const lines = new FieldLines();
  lines.add('grpc-status', String(status));
  lines.add('grpc-message', percentEncoded(message));
  return lines;
}

/** Bytes of UTF-8 that are not printable ASCII are percent-encoded, and so is the percent sign. */
function percentEncoded(message: string): string {
  return Buffer.from(message)
    .toString('latin1')
    .replaceAll(/[^ -$&-~]/g, (char) => `%${char.charCodeAt(0).toString(16).padStart(2, '0').toUpperCase()}`);
}
