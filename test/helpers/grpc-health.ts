import { type Server, type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js';
import { plainBytes } from './grpc-service.ts';

/** A value of `ServingStatus` in grpc.health.v1. */
export const SERVING = 1;
export const NOT_SERVING = 2;

/** The service `grpc.health.v1.Health` of a server. */
export class Health {
  /** The status by the name of the service; empty for that of the server. */
  readonly statuses = new Map<string, number>();
  /** Checks that have come. */
  checks = 0;

  serveAt(server: Server): void {
    const path = '/grpc.health.v1.Health/Check';
    server.addService(
      { check: { path, requestStream: false, responseStream: false, ...plainBytes } },
      { check: (call: ServerUnaryCall<Buffer, Buffer>, reply: sendUnaryData<Buffer>) => this.check(call, reply) },
    );
  }

  private check({ request }: ServerUnaryCall<Buffer, Buffer>, reply: sendUnaryData<Buffer>): void {
    this.checks++;
    // The field `service`: its tag, its length, and its text.
    const serving = this.statuses.get(request.toString('utf8', 2));
    if (serving === undefined) reply({ code: status.NOT_FOUND, details: 'unknown service' });
    else reply(null, Buffer.from([0x08, serving]));
  }
}
