import assert from 'node:assert/strict';
import {
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { FileOwnership } from './file-ownership.ts';

const uid = 65_534;
const gid = 65_534;

describe('files that root gives to an account', {
  skip: process.getuid?.() !== 0 && 'only root can give files away',
}, () => {
  let root: string;
  /** A directory that the account owns. */
  let own: string;
  let warnings: string[];
  let ownership: FileOwnership;

  beforeEach(() => {
    root = mkdtempSync(join(realpathSync(tmpdir()), 'hipache-ownership-'));
    own = join(root, 'own');
    mkdirSync(own);
    chownSync(own, uid, gid);
    warnings = [];
    const account = { user: 'nobody', uid, gid, groups: [gid] };
    ownership = new FileOwnership(account, (message) => warnings.push(message));
  });

  afterEach(() => rmSync(root, { recursive: true, force: true }));

  function file(path: string): string {
    writeFileSync(path, 'of root', { mode: 0o600 });
    return path;
  }

  test('include a missing file, which is created along with its directories', () => {
    const log = join(root, 'log', 'access.log');
    ownership.giveFile(log);
    ownership.give(join(root, 'data', 'hipache', 'routes.sqlite'));
    for (const path of [log, join(root, 'log'), join(root, 'data'), join(root, 'data', 'hipache')]) {
      assert.equal(lstatSync(path).uid, uid, path);
      assert.equal(lstatSync(path).gid, gid, path);
    }
    assert.equal(lstatSync(join(root, 'log')).mode & 0o777, 0o750);
    const store = file(join(root, 'log', 'routes.sqlite'));
    ownership.give(store);
    assert.equal(lstatSync(store).uid, uid);
    assert.equal(lstatSync(root).uid, 0);
    assert.deepEqual(warnings, []);
  });

  test('include a file of root in a directory of the account', () => {
    const path = file(join(own, 'routes.sqlite'));
    ownership.give(path);
    ownership.give(join(own, 'routes.sqlite-wal'));
    assert.equal(lstatSync(path).uid, uid);
    assert.equal(existsSync(join(own, 'routes.sqlite-wal')), false);
    assert.deepEqual(warnings, []);
  });

  test('exclude the target of a link', () => {
    const secret = file(join(root, 'shadow'));
    const path = join(own, 'access.log');
    symlinkSync(secret, path);
    ownership.giveFile(path);
    assert.equal(lstatSync(secret).uid, 0);
    assert.match(warnings.join(), /access\.log is not a regular file/);
  });

  test('exclude the missing target of a link', () => {
    const target = join(root, 'new');
    const path = join(own, 'access.log');
    symlinkSync(target, path);
    ownership.giveFile(path);
    assert.equal(existsSync(target), false);
    assert.match(warnings.join(), /is not a regular file/);
  });

  test('exclude a file with a second name', () => {
    const secret = file(join(root, 'shadow'));
    const path = join(own, 'access.log');
    linkSync(secret, path);
    ownership.giveFile(path);
    assert.equal(lstatSync(secret).uid, 0);
    assert.match(warnings.join(), /has several names/);
  });

  test('exclude whatever is reached through a path that the account could change', () => {
    const elsewhere = join(root, 'elsewhere');
    mkdirSync(elsewhere);
    const secret = file(join(elsewhere, 'routes.sqlite'));
    symlinkSync(elsewhere, join(own, 'data'));
    ownership.give(join(own, 'data', 'routes.sqlite'));
    ownership.giveFile(join(own, 'data', 'access.log'));
    ownership.giveFile(join(own, 'logs', 'access.log'));
    assert.equal(lstatSync(secret).uid, 0);
    assert.equal(existsSync(join(elsewhere, 'access.log')), false);
    // The account creates it itself.
    assert.equal(existsSync(join(own, 'logs')), false);
    assert.match(
      warnings.join(),
      /routes\.sqlite belongs to root and is in a directory where nobody or others can replace it/,
    );
  });

  test('are found through links of root', () => {
    symlinkSync(own, join(root, 'link'));
    ownership.giveFile(join(root, 'link', 'access.log'));
    assert.equal(lstatSync(join(own, 'access.log')).uid, uid);
    assert.deepEqual(warnings, []);
  });

  test('need directories that can be created', () => {
    symlinkSync(join(root, 'nowhere'), join(root, 'logs'));
    assert.throws(() => ownership.giveFile(join(root, 'logs', 'access.log')), {
      code: 'PRIVILEGES',
      message: /EEXIST/,
    });
    assert.equal(existsSync(join(root, 'nowhere')), false);
  });
});
