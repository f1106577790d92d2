import { once } from 'node:events';
import { connect } from 'node:net';
import type { WrkLoad } from './wrk.ts';

/** How many fields the response to a request of a load has. @throws where its status is not 200. */
export async function countFields(load: Pick<WrkLoad, 'port' | 'path' | 'hosts' | 'fields'>): Promise<number> {
  const { port, path, hosts, fields = [] } = load;
  const socket = connect({ port, host: '127.0.0.1' });
  try {
    // A library for HTTP would add fields of its own.
    socket.write(`${[`GET ${path} HTTP/1.1`, `Host: ${hosts[0]}`, ...fields].join('\r\n')}\r\n\r\n`);
    let text = '';
    while (!text.includes('\r\n\r\n')) text += (await once(socket, 'data', { signal: AbortSignal.timeout(5000) }))[0];
    const [status = '', ...answered] = text.slice(0, text.indexOf('\r\n\r\n')).split('\r\n');
    if (!status.startsWith('HTTP/1.1 200')) throw new Error(`the response is: ${status}`);
    return answered.length;
  } finally {
    socket.destroy();
  }
}
