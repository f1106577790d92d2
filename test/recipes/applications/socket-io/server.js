import { createServer } from 'node:http';
import { Server } from 'socket.io';

const http = createServer((_request, response) => response.end());
new Server(http).on('connection', (socket) => {
  const { 'x-forwarded-proto': scheme, 'x-real-ip': address, host } = socket.handshake.headers;
  socket.on('who', (reply) => reply({ url: `${scheme}://${host}`, address, server: process.pid }));
});
http.listen(Number(process.env.PORT), '127.0.0.1');
