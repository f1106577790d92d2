import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { get, Rig, response } from '../../test/helpers/rig.ts';
import { trusted } from '../../test/helpers/test-proxy.ts';
import { NEED_MORE_PROXY, parseProxyHeader } from './proxy-protocol.ts';

const signature = '\r\n\r\n\0\r\nQUIT\n';

/** A version 2 header with this command, family and address bytes. */
function two(command: number, family: number, addresses: readonly number[], more = ''): string {
  const length = addresses.length + more.length;
  return `${signature}${String.fromCharCode(command, family, length >> 8, length & 255, ...addresses)}${more}`;
}

const four = [10, 1, 2, 3, 192, 168, 0, 1, 0x1f, 0x90, 0, 80];
const six = [0x20, 1, 0xd, 0xb8, ...Array<number>(11).fill(0), 1, ...Array<number>(15).fill(0), 2, 1, 0xbb, 0, 80];

const valid: Record<string, [string, string]> = {
  'version 1, TCP4': ['PROXY TCP4 10.1.2.3 192.168.0.1 8080 80\r\n', '10.1.2.3'],
  'version 1, TCP6': ['PROXY TCP6 2001:db8::1 2001:db8::2 443 80\r\n', '2001:db8::1'],
  'version 1, UNKNOWN': ['PROXY UNKNOWN\r\n', ''],
  'version 1, UNKNOWN with anything': ['PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n', ''],
  'version 2, TCP4': [two(0x21, 0x11, four), '10.1.2.3'],
  'version 2, TCP6': [two(0x21, 0x21, six), '2001:db8::1'],
  'version 2, TCP4 with type-length-values': [two(0x21, 0x11, four, '\x04\0\x03abc'), '10.1.2.3'],
  'version 2, LOCAL': [two(0x20, 0x00, []), ''],
  'version 2, LOCAL with addresses': [two(0x20, 0x11, four), ''],
  'version 2, UNSPEC': [two(0x21, 0x00, []), ''],
  'version 2, UNIX': [two(0x21, 0x31, Array<number>(216).fill(65)), ''],
};

const invalid: Record<string, string> = {
  'a request': get('/'),
  'PROXY in lower case': 'proxy TCP4 10.1.2.3 192.168.0.1 8080 80\r\n',
  'an unknown family': 'PROXY TCP5 10.1.2.3 192.168.0.1 8080 80\r\n',
  'addresses of the other family': 'PROXY TCP4 ::1 ::1 8080 80\r\n',
  'no address': 'PROXY TCP4 x 192.168.0.1 8080 80\r\n',
  'a missing port': 'PROXY TCP4 10.1.2.3 192.168.0.1 8080\r\n',
  'a port out of range': 'PROXY TCP4 10.1.2.3 192.168.0.1 8080 65536\r\n',
  'a port with a leading zero': 'PROXY TCP4 10.1.2.3 192.168.0.1 08080 80\r\n',
  'something after the ports': 'PROXY TCP4 10.1.2.3 192.168.0.1 8080 80 x\r\n',
  'two spaces': 'PROXY  TCP4 10.1.2.3 192.168.0.1 8080 80\r\n',
  'an overlong line': `PROXY UNKNOWN ${'x'.repeat(100)}\r\n`,
  'version 3': two(0x31, 0x11, four),
  'another command': two(0x22, 0x11, four),
  'overlong addresses': `${signature}\x21\x11\xff\xff`,
  'a broken signature': `${signature.slice(0, 11)}X\x21\x11\0\0`,
  TLS: '\x16\x03\x01',
};

describe('a PROXY protocol header', () => {
  for (const [name, [text, address]] of Object.entries(valid)) {
    test(`${name}: ${address || 'no address'}`, () => {
      const bytes = Buffer.from(`${text}GET`, 'latin1');
      assert.deepEqual(parseProxyHeader(bytes), { length: text.length, address });
      for (let end = 1; end < text.length; end++) {
        assert.equal(parseProxyHeader(bytes.subarray(0, end)), NEED_MORE_PROXY, `${end} bytes`);
      }
    });
  }

  for (const [name, text] of Object.entries(invalid)) {
    test(`${name}: not a header`, () => {
      assert.equal(parseProxyHeader(Buffer.from(text, 'latin1')), null);
    });
  }

  test('arbitrary bytes are never taken for a header, and never throw', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('', 'PROXY ', 'PROXY TCP4 ', signature, `${signature}\x21`),
        fc.uint8Array(),
        (start, rest) => {
          const header = parseProxyHeader(Buffer.concat([Buffer.from(start, 'latin1'), rest, Buffer.from('x')]));
          if (header === null || header === NEED_MORE_PROXY) return;
          assert.match(header.address, /^[0-9a-f.:]*$/);
        },
      ),
    );
  });
});

describe('a listener with the PROXY protocol', () => {
  const client10 = '10.1.2.3';

  for (const [name, [text, address]] of Object.entries(valid)) {
    test(`${name}: the backend learns the client address`, async (t) => {
      const rig = await Rig.start(t, { proxyProtocol: true });
      rig.backend.serve(() => response('ok'));
      const client = await rig.client();
      for (const byte of text + get('/1')) client.send(byte);
      await client.expect('ok');
      client.send(get('/2', 'X-Forwarded-For: 6.6.6.6'));
      await client.expect(/ok.*ok/s);
      const shown = address === '' ? '127.0.0.1' : address === '10.1.2.3' ? client10 : address;
      assert.equal(rig.backend.received.split(`\r\nX-Forwarded-For: ${shown}\r\n`).length, 3);
    });
  }

  for (const [name, text] of Object.entries(invalid)) {
    test(`${name}: the connection is closed without a response`, async (t) => {
      const rig = await Rig.start(t, { proxyProtocol: true });
      const client = await rig.send(text + get('/'));
      await client.untilEnded();
      assert.equal(client.received, '');
      assert.equal(rig.backend.peers.length, 0);
    });
  }

  test('trusts the peer in the header, not the sender', async (t) => {
    const rig = await Rig.start(t, { proxyProtocol: true, settings: { trustedProxies: trusted('127.0.0.1') } });
    rig.backend.serve(() => response('ok'));
    const client = await rig.send(
      `${valid['version 1, TCP4']?.[0]}${get('/', 'X-Forwarded-For: 6.6.6.6', 'X-Debug: 1')}`,
    );
    await client.expect('ok');
    assert.doesNotMatch(rig.backend.received, /6\.6\.6\.6/);
    assert.doesNotMatch(client.received, /x-debug/);
  });

  test('closes a connection whose header never comes', async (t) => {
    const rig = await Rig.start(t, { proxyProtocol: true, settings: { headTimeoutMs: 300 } });
    const client = await rig.send('PROXY TCP4 ');
    await client.untilEnded();
    assert.equal(client.received, '');
  });

  test('treats a second header as an invalid request', async (t) => {
    const rig = await Rig.start(t, { proxyProtocol: true });
    const header = valid['version 1, TCP4']?.[0] ?? '';
    const client = await rig.send(header + header + get('/'));
    await client.untilEnded();
    assert.deepEqual(client.statuses, [400]);
    assert.equal(rig.backend.peers.length, 0);
  });
});
