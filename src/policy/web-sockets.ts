import type { AdmissionRule, AskedRequest, Refusal } from './admission.ts';

/** Refuses WebSocket handshakes. */
export class NoWebSockets implements AdmissionRule {
  refuse({ request }: AskedRequest): Refusal | null {
    if (request.protocol !== 'websocket') return null;
    return { code: 'ACCESS_DENIED', status: 403, detail: 'the option websockets is off', fields: null };
  }
}
