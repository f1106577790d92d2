// One long download or upload.
//   node stream-client.ts SETTINGS      (JSON; the result goes to stdout as JSON)
import { request } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { Zeros } from './zeros.ts';

export interface StreamClientSettings {
  readonly port: number;
  readonly host: string;
  readonly direction: 'download' | 'upload';
  readonly bytes: number;
  readonly chunked: boolean;
}

export interface StreamClientResult {
  /** Bytes that arrived at the other end. */
  readonly bytes: number;
  readonly seconds: number;
}

const { port, host, direction, bytes, chunked }: StreamClientSettings = JSON.parse(process.argv[2] ?? '{}');
const startMs = performance.now();
const outgoing = request({
  port,
  host: '127.0.0.1',
  method: direction === 'download' ? 'GET' : 'POST',
  path: direction === 'download' ? `/${bytes}${chunked ? '?chunked' : ''}` : '/',
  headers: { host, ...(direction === 'upload' && !chunked ? { 'content-length': bytes } : {}) },
});
const response = new Promise<number>((resolve, reject) => {
  outgoing.once('error', reject);
  outgoing.once('response', async (response) => {
    let text = '';
    let received = 0;
    try {
      for await (const chunk of response) {
        received += (chunk as Buffer).length;
        if (direction === 'upload') text += (chunk as Buffer).toString('latin1');
      }
      if (response.statusCode !== 200) throw new Error(`status ${response.statusCode} ${text}`);
      resolve(direction === 'upload' ? Number(text) : received);
    } catch (error) {
      reject(error);
    }
  });
});
if (direction === 'upload') await pipeline(new Zeros(bytes), outgoing);
else outgoing.end();
const result: StreamClientResult = { bytes: await response, seconds: (performance.now() - startMs) / 1000 };
process.stdout.write(JSON.stringify(result));
