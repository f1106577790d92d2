import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { Server as SocketIoServer } from 'socket.io';
import { io } from 'socket.io-client';
import { WebSocket, WebSocketServer } from 'ws';
import { Authority } from '../helpers/authority.ts';
import { browsers, openPage } from '../helpers/browsers.ts';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { until } from '../helpers/until.ts';

/** A page that opens a WebSocket to its own host, and reports the result. */
const page = `<!doctype html><title>page</title><script>
let text = '';
const socket = new WebSocket((location.protocol === 'https:' ? 'wss://' : 'ws://') + location.host + '/chat', ['chat']);
socket.onopen = () => socket.send('from the browser');
socket.onmessage = (event) => { text += 'message ' + event.data + ' of ' + socket.protocol; socket.close(4001, 'enough'); };
socket.onclose = (event) => fetch('/report', { method: 'POST', body: text + ' closed ' + event.code + ' clean ' + event.wasClean });
</script>`;

describe('WebSockets through the program', () => {
  const home = new HipacheHome();
  let authority: Authority;
  let http: Server;
  let sockets: WebSocketServer;
  let ioServer: SocketIoServer;
  let proxy: HipacheProcess;
  let tlsPort: number;
  const reports: string[] = [];

  before(async () => {
    authority = new Authority();
    const issued = authority.issue(['app.localhost', 'localhost', '127.0.0.1']);
    http = createServer((request, response) => {
      response.setHeader('content-type', 'text/html').end(page);
      if (request.url !== '/report') return;
      let text = '';
      request.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      request.on('end', () => reports.push(text));
    });
    sockets = new WebSocketServer({ noServer: true, perMessageDeflate: true, handleProtocols: () => 'chat' });
    sockets.on('connection', (socket) => {
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
    });
    ioServer = new SocketIoServer(http, { path: '/socket.io' });
    ioServer.on('connection', (socket) => {
      socket.on('ask', (question: string, reply: (text: string) => void) => reply(`${question}!`));
    });
    http.on('upgrade', (request, socket, head) => {
      if (request.url?.startsWith('/socket.io')) return;
      if (request.url === '/closed') {
        socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\nclosed');
        return;
      }
      sockets.handleUpgrade(request, socket, head, (ws) => sockets.emit('connection', ws, request));
    });
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    home.configure({
      https: {
        port: 0,
        bind: ['127.0.0.1'],
        key: issued.keyFile,
        cert: issued.certificateFile,
      },
    });
    await home.route('set', '*', `http://127.0.0.1:${(http.address() as AddressInfo).port}`);
    proxy = await home.serve();
    tlsPort = await proxy.tlsPort();
  });

  after(async () => {
    for (const socket of sockets.clients) socket.terminate();
    await ioServer.close();
    http.close();
    await home.remove();
    authority.dispose();
  });

  const urls = (): readonly [string, string, object][] => [
    ['ws', `ws://127.0.0.1:${proxy.port}`, {}],
    ['wss', `wss://127.0.0.1:${tlsPort}`, { ca: authority.certificate }],
  ];

  for (const scheme of ['ws', 'wss'] as const) {
    const url = (): string => urls().find(([name]) => name === scheme)?.[1] ?? '';
    const options = (): object => urls().find(([name]) => name === scheme)?.[2] ?? {};

    it(`${scheme}: text, binary, compressed, long and fragmented messages come back unchanged`, async () => {
      const socket = new WebSocket(`${url()}/chat`, ['chat'], { ...options(), perMessageDeflate: true });
      const received: string[] = [];
      socket.on('message', (data: Buffer, isBinary) => received.push(`${isBinary}:${data.toString('latin1')}`));
      await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
      assert.equal(socket.protocol, 'chat');
      const long = 'long '.repeat(100_000);
      socket.send('text');
      socket.send(Buffer.from([0, 255, 10]));
      socket.send(long);
      socket.send('first part, ', { fin: false });
      socket.send('last part', { fin: true });
      await until('every message', () => received.length === 4);
      assert.deepEqual(received, ['false:text', 'true:\0\xff\n', `false:${long}`, 'false:first part, last part']);
      const pong = new Promise((resolve) => socket.once('pong', (data: Buffer) => resolve(data.toString())));
      socket.ping('still there');
      assert.equal(await pong, 'still there');
      const closed = new Promise((resolve) => socket.once('close', (code) => resolve(code)));
      socket.close(4000, 'done');
      assert.equal(await closed, 4000);
    });

    it(`${scheme}: a refusal of the application reaches the client`, async () => {
      const socket = new WebSocket(`${url()}/closed`, options());
      const status = await new Promise((resolve, reject) => {
        socket.once('unexpected-response', (_request, response) => {
          response.resume();
          resolve(response.statusCode);
        });
        socket.once('error', reject);
      });
      assert.equal(status, 403);
    });

    for (const transports of [['websocket'], ['polling'], ['polling', 'websocket']]) {
      it(`${scheme}: Socket.IO by ${transports.join(', then ')}`, async () => {
        const client = io(url().replace(/^ws/, 'http'), { transports, forceNew: true, ...options() });
        try {
          const response = await client.timeout(20_000).emitWithAck('ask', 'hello');
          assert.equal(response, 'hello!');
          const wanted = transports.at(-1);
          await until(`the transport ${wanted}`, () => client.io.engine.transport.name === wanted);
          assert.equal(await client.timeout(20_000).emitWithAck('ask', 'again'), 'again!');
        } finally {
          client.disconnect();
        }
      });
    }

    for (const browser of browsers) {
      it(`${scheme}: a page in ${browser}`, async () => {
        const before = reports.length;
        const page = `${url().replace(/^ws/, 'http').replace('127.0.0.1', 'app.localhost')}/`;
        const profile = home.path(`${browser}-${scheme}`);
        const isDone = (): boolean => reports.length > before;
        const log = await openPage(browser, page, profile, authority.certificateFile, isDone);
        assert.equal(reports[before] ?? log, 'message from the browser of chat closed 4001 clean true');
        // A browser that has a connection of HTTP/2 opens a stream on it.
        const version = scheme === 'wss' ? '2' : '1.1';
        const agent = browser === 'chromium' ? 'Chrome' : 'Firefox';
        const line = new RegExp(`"GET /chat HTTP/${version}" 101 .*${agent}`);
        await until('its line', () => line.test(home.read('access.log')));
      });
    }
  }

  it('each has one line in the access log, written at its end', async () => {
    const lines = (): string[] =>
      home
        .read('access.log')
        .split('\n')
        .filter((line) => line.includes('"GET /once '));
    const socket = new WebSocket(`ws://127.0.0.1:${proxy.port}/once`, { headers: { 'user-agent': 'e2e' } });
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    const back = new Promise((resolve) => socket.once('message', resolve));
    socket.send('x');
    await back;
    assert.deepEqual(lines(), []);
    socket.close();
    await until('its line', () => lines().length === 1);
    assert.match(lines()[0] ?? '', /"GET \/once HTTP\/1\.1" 101 [0-9]+ "" "e2e" "\*" [0-9.]+ [0-9.]+$/);
  });

  it('SIGTERM closes both ends with 1001', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${proxy.port}/chat`);
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    const [backend] = [...sockets.clients].slice(-1);
    const codes = [socket, backend as WebSocket].map(
      (end) => new Promise<number>((resolve) => end.once('close', (code) => resolve(code))),
    );
    proxy.signal('SIGTERM');
    assert.deepEqual(await Promise.all(codes), [1001, 1001]);
    assert.equal(await proxy.ended(), 0);
  });
});
