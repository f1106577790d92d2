import assert from 'node:assert/strict';
import { chmodSync, chownSync, copyFileSync, readFileSync } from 'node:fs';
import { it } from 'node:test';
import { connect } from 'node:tls';
import { Authority } from '../helpers/authority.ts';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { RedisServer } from '../helpers/redis-server.ts';
import { until } from '../helpers/until.ts';
import { userOf } from '../helpers/workers.ts';

/** @returns whether the session was resumed, and the session to resume next. */
async function visit(port: number, ca: string, session?: Buffer): Promise<{ reused: boolean; session: Buffer }> {
  const socket = connect({ host: '127.0.0.1', port, servername: 'a.example', ca, session });
  let response = '';
  let ticket: Buffer | null = null;
  socket.on('session', (bytes: Buffer) => {
    ticket = bytes;
  });
  socket.on('data', (bytes: Buffer) => {
    response += bytes.toString();
  });
  socket.write('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n');
  await until(
    'a response and a ticket',
    () => response.endsWith('one') && (ticket !== null || socket.isSessionReused()),
  );
  const reused = socket.isSessionReused();
  socket.destroy();
  return { reused, session: ticket ?? (session as Buffer) };
}

it('sessions are resumed after a SIGHUP, even if only root can read the key', async (t) => {
  const authority = new Authority();
  const home = new HipacheHome();
  const backend = await HttpBackend.start('one');
  t.after(() => backend.stop());
  t.after(() => home.remove());
  t.after(() => authority.dispose());
  const issued = authority.issue(['a.example']);
  const [cert, key] = [home.path('a.pem'), home.path('a.key')];
  copyFileSync(issued.certificateFile, cert);
  copyFileSync(issued.keyFile, key);
  chmodSync(key, 0o600);
  const isRoot = process.getuid?.() === 0;
  const nobody = Number(/^nobody:[^:]*:(\d+):/m.exec(readFileSync('/etc/passwd', 'utf8'))?.[1]);
  const https = { bind: [{ address: '127.0.0.1', port: 0, cert, key }] };
  home.configure({ https, ...(isRoot ? { user: 'nobody' } : {}) }, { workers: 2 });
  await home.route('set', 'a.example', backend.url);
  if (isRoot) chownSync(home.directory, nobody, nobody);
  const proxy = await home.serve();
  if (isRoot) assert.equal(userOf(proxy.pid), nobody);
  const port = await proxy.tlsPort();

  const { reused, session } = await visit(port, authority.certificate);
  assert.equal(reused, false);
  // By any worker.
  for (let count = 0; count < 8; count++)
    assert.equal((await visit(port, authority.certificate, session)).reused, true);
  proxy.signal('SIGHUP');
  await until('the new workers', () => /in use|nothing is changed/.test(proxy.output));
  assert.doesNotMatch(proxy.output, /nothing is changed/);
  for (let count = 0; count < 8; count++)
    assert.equal((await visit(port, authority.certificate, session)).reused, true);
});

it('sessions are resumed by another instance, if ticket keys are shared', async (t) => {
  const authority = new Authority();
  const redis = await RedisServer.start();
  const homes = [new HipacheHome(), new HipacheHome(), new HipacheHome()];
  const backend = await HttpBackend.start('one');
  t.after(() => backend.stop());
  t.after(() => redis.remove());
  for (const home of homes) t.after(() => home.remove());
  t.after(() => authority.dispose());
  const { certificateFile: cert, keyFile: key } = authority.issue(['a.example']);
  for (const [index, home] of homes.entries()) {
    const https = { bind: [{ address: '127.0.0.1', port: 0, cert, key }], sharedTicketKeys: index < 2 };
    home.configure({ https, driver: redis.url, acme: { passphrase: 'a secret of the whole fleet' } });
  }
  const [first, second, alone] = (await Promise.all(homes.map((home) => home.serve()))) as [
    HipacheProcess,
    HipacheProcess,
    HipacheProcess,
  ];
  await homes[0]?.route('set', 'a.example', backend.url);
  for (const proxy of [first, second]) {
    await until('the keys of the fleet', () => proxy.output.includes('ticket keys have been renewed'));
  }
  const [port, other, last] = await Promise.all([first, second, alone].map((proxy) => proxy.tlsPort()));
  const { certificate } = authority;
  await until('a session that the other instance resumes', async () => {
    const { session } = await visit(port as number, certificate);
    return (await visit(other as number, certificate, session)).reused;
  });
  const { session } = await visit(port as number, certificate);
  assert.equal((await visit(last as number, certificate, session)).reused, false);
  assert.match(await redis.cli('HGET', 'hipache:note:tls-ticket-keys', 'text'), /^sealed:/);
});
