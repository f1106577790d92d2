import { HipacheError } from './errors.ts';
import { hostPort } from './host-port.ts';

const hints: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program listens there; stop it, or set another port',
  EACCES: 'ports below 1024 need root or the capability CAP_NET_BIND_SERVICE',
  EADDRNOTAVAIL: 'this machine has no such address',
  ENOTFOUND: 'there is no such host name',
};

/** LISTEN_FAILED with a hint. @param code of the system error. */
export function listenFailure(address: string, port: number, code: string): HipacheError {
  return new HipacheError('LISTEN_FAILED', `cannot listen on ${hostPort(address, port)}: ${hints[code] ?? code}`);
}
