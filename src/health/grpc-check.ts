import type { IncomingHttpHeaders } from 'node:http';

/** Names of `ServingStatus` in grpc.health.v1 (github.com/grpc/grpc/blob/master/doc/health-checking.md). */
const servingStatuses: readonly string[] = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'];
const SERVING = 1;
/** The field `service` of the request and `status` of the response: number 1, as bytes and as a number. */
const serviceTag = 0x0a;
const statusTag = 0x08;
const messageHeadBytes = 5;
/** Of the message of a server that is shown. */
const messageCharsMax = 200;

/** The request of `grpc.health.v1.Health/Check`. */
export interface GrpcProbe {
  readonly headers: Readonly<Record<string, string>>;
  /** As latin1 text. */
  readonly body: string;
}

/** @param path `grpc:` for the whole server, or `grpc:` and the name of a service of up to 127 characters in ASCII. */
export function grpcProbe(path: string): GrpcProbe {
  const service = path.slice('grpc:'.length);
  const message = service === '' ? '' : String.fromCharCode(serviceTag, service.length) + service;
  return {
    headers: {
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
      accept: '*/*',
    },
    body: String.fromCharCode(0, 0, 0, 0, message.length) + message,
  };
}

/** Why the response does not say SERVING; empty if it does. @param fields of the head and the trailers. */
export function grpcProblem(status: number, fields: IncomingHttpHeaders, body: string): string {
  if (status !== 200) return `gRPC: status ${status}`;
  const { 'grpc-message': message = '', 'grpc-status': code } = fields;
  if (code !== '0') return `gRPC: grpc-status ${code ?? 'missing'} ${decoded(String(message))}`.trim();
  // A message without its field has the first value.
  const serving = body.charCodeAt(messageHeadBytes) === statusTag ? body.charCodeAt(messageHeadBytes + 1) : 0;
  return serving === SERVING ? '' : `gRPC: ${servingStatuses[serving] ?? serving}`;
}

/** A percent-encoded message as text that can be shown. */
function decoded(message: string): string {
  const bytes = message.replaceAll(/%([0-9a-f]{2})/gi, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return Buffer.from(bytes, 'latin1')
    .toString()
    .replaceAll(/\p{Cc}/gu, ' ')
    .slice(0, messageCharsMax);
}
