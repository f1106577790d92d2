// A program: opens many connections to 127.0.0.1, and holds them until its standard input ends.
// Arguments: the port, the number, and `idle`, or the host of tunnels to open. It prints how many are open, once a second.
import { connect } from 'node:net';

const [port, count, kind] = process.argv.slice(2) as [string, string, string];
const underWayMax = 200;
const handshake = `GET / HTTP/1.1\r\nHost: ${kind}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`;
let begun = 0;
let underWay = 0;
let open = 0;

function openMore(): void {
  while (begun < Number(count) && underWay < underWayMax) {
    begun++;
    underWay++;
    const socket = connect({ host: '127.0.0.1', port: Number(port) });
    let isOpen = false;
    const settled = (): void => {
      if (isOpen) return;
      isOpen = true;
      open++;
      underWay--;
      openMore();
    };
    socket.on('connect', () => (kind === 'idle' ? settled() : socket.write(handshake)));
    socket.on('data', settled);
    socket.on('error', () => {});
    socket.on('close', () => {
      if (isOpen) open--;
      else underWay--;
      openMore();
    });
  }
  if (begun === Number(count) && underWay === 0) console.log(`settled ${open}`);
}

openMore();
setInterval(() => console.log(`open ${open}`), 1000);
process.stdin.on('end', () => process.exit(0)).resume();
