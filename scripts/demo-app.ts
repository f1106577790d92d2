// A sample application of npm run demo: node scripts/demo-app.ts NAME PORT
// Answers every request with a page that says who it is and loads itself again. Tells its port on the standard output
// once it listens (PORT 0 takes a free one), and ends when its standard input does, so that it never outlives the demo.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

const [name = 'blue', port = '0'] = process.argv.slice(2);
const startedAt = Date.now();
let requests = 0;

const server = createServer(answer);
server.listen(Number(port), '127.0.0.1', () => {
  const address = server.address();
  if (typeof address === 'object' && address !== null) process.stdout.write(`${address.port}\n`);
});
process.stdin.resume().on('end', () => process.exit(0));

function answer(request: IncomingMessage, response: ServerResponse): void {
  requests++;
  const seconds = Math.round((Date.now() - startedAt) / 1000);
  const facts = [
    `process ${process.pid}, started ${seconds} s ago, request number ${requests}`,
    `host ${request.headers.host ?? 'none'}, client ${request.headers['x-forwarded-for'] ?? 'unknown'}`,
  ];
  response.setHeader('Cache-Control', 'no-store');
  if (request.headers.accept?.includes('text/html') !== true) {
    response.setHeader('Content-Type', 'text/plain; charset=utf-8');
    response.end(`Hello from ${name}: ${facts.join('; ')}\n`);
    return;
  }
  response.setHeader('Content-Type', 'text/html; charset=utf-8');
  response.end(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="refresh" content="1">
<title>${name}</title>
<style>
  body { margin: 20vh auto; text-align: center; font: 18px system-ui, sans-serif; color: white; background: ${name}; }
  h1 { font-size: 80px; margin: 0; }
</style>
<h1>${name}</h1>
${facts.map((fact) => `<p>${escapeHtml(fact)}</p>`).join('\n')}
</html>
`);
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
