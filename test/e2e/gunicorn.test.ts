import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { findProgram } from '../../scripts/servers.ts';
import { Authority } from '../helpers/authority.ts';
import { freePort } from '../helpers/free-port.ts';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { ask } from '../helpers/http-client.ts';
import { until } from '../helpers/until.ts';

/** Says what it knows of the client. */
const application = `
def app(environ, start_response):
    seen = [environ['wsgi.url_scheme'], environ['HTTP_HOST'], environ['HTTP_X_FORWARDED_FOR'], environ['REQUEST_METHOD']]
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [' '.join(seen).encode()]
`;

describe('gunicorn with its own settings behind Hipache', () => {
  const home = new HipacheHome();
  const authority = new Authority();
  let gunicorn: ReturnType<typeof spawn>;
  let proxy: HipacheProcess;
  let ca: string;

  before(async () => {
    const port = await freePort();
    writeFileSync(home.path('app.py'), application);
    const program = findProgram('gunicorn') as string;
    gunicorn = spawn(program, ['--bind', `127.0.0.1:${port}`, '--chdir', home.directory, 'app:app'], {
      stdio: 'ignore',
    });
    const responds = () => ask(port, 'x', { headers: { 'x-forwarded-for': 'y' } }).then(({ status }) => status === 200);
    await until('gunicorn', () => responds().catch(() => false), 30_000);
    const { certificate, key } = authority.issue(['app.example']);
    const paths = [home.path('cert.pem'), home.path('key.pem'), home.path('ca.pem')] as const;
    for (const [at, text] of [certificate, key, authority.certificate].entries()) writeFileSync(paths[at] ?? '', text);
    ca = paths[2];
    const https = { bind: [{ address: '127.0.0.1', port: 0, cert: paths[0], key: paths[1] }] };
    home.configure({ https }, { mappedAddresses: false });
    await home.route('set', 'app.example', `http://127.0.0.1:${port}`);
    proxy = await home.serve();
  });

  after(async () => {
    gunicorn.kill('SIGTERM');
    await new Promise((resolve) => gunicorn.once('close', resolve));
    await home.remove();
    authority.dispose();
  });

  async function curl(url: string, ...more: readonly string[]): Promise<string> {
    const { port } = new URL(url);
    const here = ['--resolve', `app.example:${port}:127.0.0.1`, '--cacert', ca];
    return (await promisify(execFile)('curl', ['-sS', '--fail', ...here, ...more, url])).stdout;
  }

  it('knows that the client uses TLS', async () => {
    const port = await proxy.tlsPort();
    assert.equal(await curl(`https://app.example:${port}/`), `https app.example:${port} 127.0.0.1 GET`);
    assert.match(await curl(`https://app.example:${port}/`, '-d', 'x=1'), /^https .* POST$/);
  });

  it('knows that the client does not', async () => {
    assert.equal(await curl(`http://app.example:${proxy.port}/`), `http app.example:${proxy.port} 127.0.0.1 GET`);
  });
});
