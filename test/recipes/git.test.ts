import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { startNginx } from './nginx.ts';
import { Recipe, type Scheme, schemes } from './recipe.ts';

describe('git over HTTP', () => {
  const recipe = new Recipe('git over HTTP');

  before(async () => {
    const socket = recipe.path('fcgiwrap.sock');
    await recipe.launch('fcgiwrap', ['-s', `unix:${socket}`], () => existsSync(socket));
    recipe.write('git.users', 'somebody:{PLAIN}secret\n');
    const block = recipe.block('server.conf');
    const paths = [
      ['/srv/git', recipe.path('srv')],
      ['/run/fcgiwrap.socket', socket],
      ['/etc/nginx/git.users', recipe.path('git.users')],
    ] as const;
    const server = paths.reduce((text, [from, to]) => text.replaceAll(from, to), block);
    const app = await startNginx(recipe, '', server);
    const holding = await startNginx(
      recipe,
      '',
      server.replace(/^.*(?:NO_BUFFERING|postpone_output).*\n/gm, ''),
      'holding',
    );
    // Shorter than the hook below takes.
    await recipe.serve({ 'app.example': [app], 'holding.example': [holding] }, { server: { tcpTimeout: 1 } });
  });

  after(() => recipe.stop());

  /** Runs git as a client of Hipache. */
  async function git(scheme: Scheme, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
    const { port } = new URL(recipe.url(scheme));
    const names = ['app.example', 'holding.example'].map((host) => `${host}:${port}:127.0.0.1`);
    const own = names.flatMap((name) => ['-c', `http.curloptResolve=${name}`]);
    const identity = ['-c', 'user.name=somebody', '-c', 'user.email=somebody@app.example'];
    const trust = { GIT_SSL_CAINFO: recipe.authority.certificateFile, GIT_TERMINAL_PROMPT: '0', NO_PROXY: '*' };
    const options = { env: { ...process.env, ...trust, ...env } };
    const { stdout, stderr } = await promisify(execFile)('git', [...own, ...identity, ...args], options);
    return stdout + stderr;
  }

  /** A repository on the server, whose hook takes longer than `server.tcpTimeout`. @returns its URL with a password. */
  async function makeRepository(scheme: Scheme, host?: string): Promise<string> {
    const path = recipe.path('srv', `${host ?? scheme}.git`);
    await promisify(execFile)('git', ['init', '--quiet', '--bare', path]);
    writeFileSync(`${path}/hooks/pre-receive`, '#!/bin/sh\nsleep 1.5\necho "from $REMOTE_USER"\n', { mode: 0o755 });
    return `${recipe.url(scheme, host).replace('//', '//somebody:secret@')}/git/${host ?? scheme}.git`;
  }

  it('gets 504 for a slow hook if the head of the response is held back', async () => {
    const url = await makeRepository('http', 'holding.example');
    const here = recipe.path('small');
    await git('http', ['init', '--quiet', '--initial-branch=main', here]);
    await git('http', ['-C', here, 'commit', '--quiet', '--allow-empty', '--message=a small change']);
    await assert.rejects(git('http', ['-C', here, 'push', url, 'main']), /HTTP 504/);
  });

  for (const scheme of schemes) {
    it(`takes a large push over ${scheme}, and gives it back to a clone`, async () => {
      const url = await makeRepository(scheme);
      const here = recipe.path(`${scheme}-here`);
      await git(scheme, ['init', '--quiet', '--initial-branch=main', here]);
      const file = randomBytes(10_000_000);
      writeFileSync(`${here}/file`, file);
      await git(scheme, ['-C', here, 'add', 'file']);
      await git(scheme, ['-C', here, 'commit', '--quiet', '--message=a large file']);
      const trace = recipe.path(`${scheme}-trace`);
      // Of one piece over HTTP/2, where git 2.39 hangs now and then if it streams a push.
      const size = scheme === 'https' ? ['-c', 'http.postBuffer=20000000'] : [];
      const pushed = await git(scheme, [...size, '-C', here, 'push', url, 'main'], {
        GIT_TRACE_CURL: trace,
        GIT_TRACE_CURL_NO_DATA: '1',
      });
      assert.match(pushed, /remote: from somebody/);
      const how = scheme === 'https' ? /POST [^ ]*git-receive-pack HTTP\/2/ : /Send header: Transfer-Encoding: chunked/;
      assert.match(readFileSync(trace, 'utf8'), how);
      await git(scheme, ['clone', '--quiet', '--branch=main', url, recipe.path(`${scheme}-there`)]);
      assert.ok(file.equals(readFileSync(recipe.path(`${scheme}-there/file`))));
    });

    it(`refuses over ${scheme} a client without a password`, async () => {
      const url = `${recipe.url(scheme)}/git/${scheme}.git`;
      await assert.rejects(git(scheme, ['ls-remote', url]), /could not read Username/);
    });
  }
});
