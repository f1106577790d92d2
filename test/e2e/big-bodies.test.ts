import assert from 'node:assert/strict';
import { request } from 'node:http';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { HipacheHome } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';

/** Far more than any buffer; `npm run bench -- memory` does the same with 10 GiB. */
const bodyBytes = 1024 ** 3;
const residentBytesMax = 150 * 1024 ** 2;
const block = Buffer.alloc(256 * 1024, 'hipache ');

describe('a body far larger than memory', () => {
  let home: HipacheHome;
  let backend: HttpBackend;

  beforeEach(async () => {
    home = new HipacheHome();
    home.configure();
    backend = await HttpBackend.start('big', (asked, response) => {
      if (asked.method === 'GET') {
        response.setHeader('content-length', bodyBytes);
        sendBlocks(response, () => response.end());
        return;
      }
      let bytes = 0;
      asked.on('data', (data: Buffer) => {
        bytes += data.length;
      });
      asked.on('end', () => response.end(String(bytes)));
    });
    await home.route('set', 'big.example', backend.url);
  });

  afterEach(async () => {
    await home.remove();
    await backend.stop();
  });

  it('can be downloaded with constant memory', async () => {
    const proxy = await home.serve();
    const { bytes } = await transfer(proxy.port, 'GET', {});
    assert.equal(bytes, bodyBytes);
    assert.ok(proxy.residentBytesMax < residentBytesMax, `${proxy.residentBytesMax} bytes resident`);
  });

  for (const [how, headers] of [
    ['with its length', { 'content-length': String(bodyBytes) }],
    ['in chunks', { 'transfer-encoding': 'chunked' }],
  ] as const) {
    it(`can be uploaded ${how} with constant memory`, async () => {
      const proxy = await home.serve();
      const { text } = await transfer(proxy.port, 'PUT', headers);
      assert.equal(text, String(bodyBytes));
      assert.ok(proxy.residentBytesMax < residentBytesMax, `${proxy.residentBytesMax} bytes resident`);
    });
  }
});

/** Writes `bodyBytes` in blocks, as fast as they are accepted. */
function sendBlocks(to: NodeJS.WritableStream, done: () => void): void {
  let left = bodyBytes;
  const more = (): void => {
    while (left > 0) {
      left -= block.length;
      if (!to.write(block)) {
        to.once('drain', more);
        return;
      }
    }
    done();
  };
  more();
}

function transfer(
  port: number,
  method: string,
  headers: Readonly<Record<string, string>>,
): Promise<{ bytes: number; text: string }> {
  return new Promise((resolve, reject) => {
    const asked = request(
      { host: '127.0.0.1', port, method, headers: { host: 'big.example', ...headers } },
      (response) => {
        let bytes = 0;
        let text = '';
        response.on('data', (data: Buffer) => {
          bytes += data.length;
          if (method !== 'GET') text += data.toString();
        });
        response.on('end', () => resolve({ bytes, text }));
        response.on('error', reject);
      },
    );
    asked.on('error', reject);
    if (method === 'GET') asked.end();
    else sendBlocks(asked, () => asked.end());
  });
}
