import { createHash } from 'node:crypto';
import type { ErrorCode } from '../base/errors.ts';
import { Field } from '../http/field-names.ts';
import { type FieldView, type HttpVersion, namesProtocol, type RequestView } from '../http/message.ts';

/** RFC 6455 section 1.3. */
const acceptSuffix = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** Why a request that asks for `websocket` is not a handshake. */
export interface HandshakeRefusal {
  readonly code: ErrorCode;
  readonly problem: string;
}

/** Checks an HTTP/1 client's handshake by RFC 6455 section 4.2.1; null if it is valid. */
export function checkHandshake(request: RequestView): HandshakeRefusal | null {
  if (request.method !== 'GET') return malformed('websocket method');
  if (request.bodyLength !== 0) return malformed('websocket with a body');
  let key = '';
  let version = '';
  for (let field = 0; field < request.fieldCount; field++) {
    if (request.fieldNumber(field) !== Field.OTHER) continue;
    const name = request.fieldName(field).toLowerCase();
    if (name === 'sec-websocket-key') {
      if (key !== '') return malformed('two websocket keys');
      key = request.fieldValue(field);
    } else if (name === 'sec-websocket-version') {
      if (version !== '') return malformed('two websocket versions');
      version = request.fieldValue(field);
    }
  }
  // Sixteen bytes in base64.
  if (!/^[A-Za-z0-9+/]{22}==$/.test(key)) return malformed('websocket key');
  return version === '13' ? null : { code: 'REQUEST_UPGRADE', problem: 'websocket version' };
}

/** An HTTP/1 server's 101. */
export interface SwitchingResponse extends FieldView {
  readonly version: HttpVersion;
  /** Lower-case names nominated by its Connection fields. */
  readonly nominated: readonly string[] | null;
}

/** The fault of a 101 as the response to the handshake with `key` (RFC 6455 section 4.1); empty if it has none. */
export function switchProblem(response: SwitchingResponse, key: string): string {
  const problem = upgradeProblem(response, 'websocket');
  if (problem !== '') return problem;
  let accept = '';
  for (let field = 0; field < response.fieldCount; field++) {
    if (response.fieldNumber(field) !== Field.OTHER) continue;
    if (response.fieldName(field).toLowerCase() !== 'sec-websocket-accept') continue;
    if (accept !== '') return 'two sec-websocket-accept';
    accept = response.fieldValue(field);
  }
  return accept === acceptOf(key) ? '' : 'sec-websocket-accept';
}

/** The fault of a 101 as the consent to switch to `protocol` (RFC 9110 section 7.8); empty if it has none. */
export function upgradeProblem(response: SwitchingResponse, protocol: string): string {
  if (response.version === '1.0') return 'switch on HTTP/1.0';
  if (!namesProtocol(response, protocol.toLowerCase())) return `upgrade to ${protocol} missing`;
  return response.nominated?.includes('upgrade') === true ? '' : 'connection: upgrade missing';
}

/** The key of a handshake that `checkHandshake` has accepted. */
export function keyOf(request: FieldView): string {
  for (let field = 0; field < request.fieldCount; field++) {
    if (request.fieldNumber(field) !== Field.OTHER) continue;
    if (request.fieldName(field).toLowerCase() === 'sec-websocket-key') return request.fieldValue(field);
  }
  return '';
}

/** The `Sec-WebSocket-Accept` for a key. */
export function acceptOf(key: string): string {
  return createHash('sha1').update(`${key}${acceptSuffix}`, 'latin1').digest('base64');
}

function malformed(problem: string): HandshakeRefusal {
  return { code: 'REQUEST_INVALID', problem };
}
