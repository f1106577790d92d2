import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadConfig } from '../config/load.ts';
import { certificateDirectoryProblems } from './start-check.ts';

test('the certificate directory of certbot: first the directory is named, then its keys, then nothing', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'hipache-letsencrypt-'));
  t.after(() => rmSync(folder, { recursive: true }));
  chmodSync(folder, 0o755);
  const live = join(folder, 'live');
  for (const name of ['a.example', 'b.example']) {
    mkdirSync(join(live, name), { recursive: true });
    for (const file of ['fullchain.pem', 'privkey.pem']) writeFileSync(join(live, name, file), '', { mode: 0o644 });
    chmodSync(join(live, name, 'privkey.pem'), 0o600);
  }
  const { config } = loadConfig({ env: {}, cwd: '/', isRoot: true });
  const https = { ...config.https, certificates: live };
  const account = { user: 'hipache', uid: 54_321, gid: 54_321, groups: [] };
  const problems = () => certificateDirectoryProblems({ ...config, https }, account);
  chmodSync(live, 0o700);
  assert.match(
    problems().join(),
    /^https\.certificates: hipache may not read \S+\/live \(mode 0700, .*: no certificate in it is served; docs\/tls\.md \(certbot\) says what to change$/,
  );
  chmodSync(live, 0o755);
  assert.match(
    problems().join(),
    /^https\.certificates: hipache may not read \S+\/a\.example\/privkey\.pem \(mode 0600, .* and 1 more: their names get no certificate/,
  );
  for (const name of ['a.example', 'b.example']) chmodSync(join(live, name, 'privkey.pem'), 0o644);
  assert.deepEqual(problems(), []);
  assert.deepEqual(certificateDirectoryProblems(config, account), []);
});
