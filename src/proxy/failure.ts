import type { ErrorCode } from '../base/errors.ts';

/** RFC 9110 section 9.2.2. */
export function isIdempotent(method: string): boolean {
  switch (method) {
    case 'GET':
    case 'HEAD':
    case 'OPTIONS':
    case 'PUT':
    case 'DELETE':
    case 'TRACE':
      return true;
    default:
      return false;
  }
}

/** Whether not getting a connection is the backend's affair, so that another one may do better. */
export function isOfBackend(code: ErrorCode): boolean {
  return code !== 'OVERLOADED';
}

/** Whether this failure marks the backend dead. */
export function marksBackend(code: ErrorCode): boolean {
  switch (code) {
    case 'BACKEND_CONNECT_REFUSED':
    case 'BACKEND_CONNECT_TIMEOUT':
    case 'BACKEND_RESET':
    case 'BACKEND_TLS':
    case 'BACKEND_TIMEOUT':
      return true;
    default:
      return false;
  }
}
