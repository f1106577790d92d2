// A panel for the customers of a platform, on the admin API of Hipache alone. Each customer sees the applications below
// their own domain, with traffic and health, and can deploy, add a domain, and watch what changes.
//   HIPACHE_ADMIN=unix:/run/hipache/admin.sock node panel.js --customer example.com --port 3000
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: { customer: { type: 'string' }, port: { type: 'string', default: '3000' } },
});
const { HIPACHE_ADMIN: admin = 'unix:/run/hipache/admin.sock', HIPACHE_TOKEN: token } = process.env;
const { customer } = values;
if (customer === undefined) {
  console.error('Give --customer, the domain whose hosts this panel may change.');
  process.exit(2);
}

/** Asks the API. @returns the response as a stream, once its head is there. */
async function open(method, path, body, accept = 'application/json') {
  const text = body === undefined ? '' : JSON.stringify(body);
  const target = admin.startsWith('unix:')
    ? { socketPath: admin.slice('unix:'.length), path, headers: { host: 'localhost' } }
    : { ...hostAndPort(admin), path, headers: {} };
  const headers = { ...target.headers, accept, 'content-type': 'application/json' };
  if (token !== undefined) headers.authorization = `Bearer ${token}`;
  const asked = request({ ...target, method, headers });
  asked.end(text);
  const [response] = await once(asked, 'response');
  return response.setEncoding('utf8');
}

function hostAndPort(url) {
  const { hostname, port } = new URL(url);
  return { host: hostname.replace(/^\[|\]$/g, ''), port };
}

/** The result of an operation. @throws the problem that the API has found, with its status. */
async function api(method, path, body) {
  const response = await open(method, path, body);
  const result = JSON.parse((await response.toArray()).join(''));
  if (response.statusCode >= 400) throw Object.assign(new Error(result.detail), { status: response.statusCode });
  return result;
}

/** Whether a host is below the domain of this customer; its name ends where a path begins. */
function isOwn(host) {
  const [name] = host.split('/');
  return name === customer || name.endsWith(`.${customer}`);
}

/** Only hosts of this customer. @throws an error with status 403 for any other. */
function own(host) {
  if (isOwn(host)) return encodeURIComponent(host);
  throw Object.assign(new Error(`${host} is not below ${customer}`), { status: 403 });
}

async function applications() {
  const { routes } = await api('GET', `/v1/routes?contains=${encodeURIComponent(customer)}`);
  // A request is for one host: a pattern such as *.example.com has no explanation.
  const hosts = routes.map(({ pattern }) => pattern).filter((host) => isOwn(host) && !/[*/]/.test(host));
  return Promise.all(hosts.map(application));
}

async function application(host) {
  const [explained, traffic] = await Promise.all([
    api('GET', `/v1/explain?host=${own(host)}`),
    api('GET', `/v1/traffic/${own(host)}`),
  ]);
  const { requestsPerSecond, errorsPerSecond, p99Ms } = traffic.host;
  const backends = explained.backends.map(({ dead, url }) => ({ url, down: dead?.reason ?? null }));
  return { host, backends, requestsPerSecond, errorsPerSecond, p99Ms };
}

/** What the page may ask for: a method and a path, and what to do with the body. */
const actions = {
  'GET /applications': applications,
  // A change is done once every instance serves it.
  'POST /applications': ({ backend, host }) => api('PUT', `/v1/routes/${own(host)}?wait=10`, { backends: [backend] }),
  'POST /deploys': ({ backend, host }) => api('POST', `/v1/routes/${own(host)}/deploy`, { backends: [backend] }),
  'POST /rollbacks': ({ host }) => api('POST', `/v1/routes/${own(host)}/rollback`, {}),
};

/** Passes on the events of the customer's hosts. */
async function events(incoming, outgoing) {
  const response = await open('GET', '/v1/events?only=change', undefined, 'text/event-stream');
  outgoing.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  outgoing.on('close', () => response.destroy());
  if (outgoing.destroyed) response.destroy();
  let rest = '';
  for await (const text of response) {
    const blocks = (rest + text).split('\n\n');
    rest = blocks.pop();
    for (const block of blocks) {
      const names = JSON.parse(/^data: (.*)$/m.exec(block)?.[1] ?? '{}').names;
      if (names === undefined || names.some(isOwn)) outgoing.write('event: change\ndata: {}\n\n');
    }
  }
  outgoing.end();
}

const server = createServer(async (incoming, outgoing) => {
  const answer = (status, type, text) => outgoing.writeHead(status, { 'content-type': type }).end(text);
  try {
    if (incoming.url === '/') return answer(200, 'text/html; charset=utf-8', page);
    if (incoming.url === '/events') return await events(incoming, outgoing);
    const action = actions[`${incoming.method} ${incoming.url}`];
    if (action === undefined) return answer(404, 'text/plain', 'no such page');
    // Pages of others cannot send this type without being asked first.
    const isJson = incoming.headers['content-type'] === 'application/json';
    if (incoming.method === 'POST' && !isJson) return answer(415, 'text/plain', 'send application/json');
    const body = (await incoming.setEncoding('utf8').toArray()).join('');
    answer(200, 'application/json', JSON.stringify(await action(body === '' ? {} : JSON.parse(body))));
  } catch (error) {
    if (outgoing.headersSent) outgoing.destroy();
    else answer(error.status ?? 502, 'application/json', JSON.stringify({ problem: error.message }));
  }
});

const page = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Applications of ${customer}</title>
<style>body{font:16px system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}td,th{text-align:left;padding:.3rem 1rem .3rem 0}
input{width:18rem}</style><h1>Applications of ${customer}</h1>
<table><thead><tr><th>Host<th>Requests/s<th>Errors/s<th>p99<th>Backends</thead><tbody></tbody></table>
<form><p><label>Host <input name="host" value="app.${customer}" required></label>
<p><label>Backend <input name="backend" placeholder="http://10.0.0.1:8000"></label>
<p><button value="applications">Create</button> <button value="deploys">Deploy</button> <button value="rollbacks">Roll back</button></form>
<p id="result" role="status"></p>
<script>
const cell = (row, text) => { row.insertCell().textContent = text; };
async function show() {
  const applications = await (await fetch('applications')).json();
  const body = document.querySelector('tbody');
  body.replaceChildren();
  for (const { backends, errorsPerSecond, host, p99Ms, requestsPerSecond } of applications) {
    const row = body.insertRow();
    cell(row, host);
    cell(row, requestsPerSecond.toFixed(1));
    cell(row, errorsPerSecond.toFixed(1));
    cell(row, p99Ms === null ? '-' : p99Ms.toFixed(0) + ' ms');
    cell(row, backends.map(({ down, url }) => url + (down === null ? '' : ' (down: ' + down + ')')).join(', '));
  }
}
document.querySelector('form').addEventListener('submit', async (event) => {
  event.preventDefault();
  const fields = Object.fromEntries(new FormData(event.target));
  const result = document.querySelector('#result');
  result.textContent = 'Working ...';
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(event.submitter.value, { method: 'POST', headers, body: JSON.stringify(fields) });
  result.textContent = response.ok ? 'Done: live on every instance.' : (await response.json()).problem;
});
new EventSource('events').addEventListener('change', show);
setInterval(show, 5000);
show();
</script>`;

server.listen(Number(values.port), '127.0.0.1', () => {
  console.log(`the panel of ${customer} is on http://127.0.0.1:${server.address().port}/`);
});
