import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, realpathSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../scripts/files.ts';
import { describeRevision, type Revision } from './machine.ts';

/** Another checkout of Hipache, which is measured beside this one. */
export interface Checkout extends Revision {
  readonly root: string;
  /** Takes away what was made for it. */
  remove(): void;
}

/**
 * The checkout that `--against` names: a directory as it is, or a worktree of a revision of this repository.
 * @param directory where a worktree may be made.
 * @throws where it is neither, or cannot be started.
 */
export function openCheckout(named: string, directory: string): Checkout {
  if (existsSync(join(named, 'bin', 'hipache'))) return checkoutIn(realpathSync(named), named);
  const commit = git(['rev-parse', '--verify', '--quiet', '--end-of-options', `${named}^{commit}`]);
  if (commit !== null) return worktreeOf(commit, named, directory);
  const isThere = existsSync(named);
  throw new Error(
    `--against: ${named} is ${isThere ? 'no checkout of Hipache' : 'neither a directory nor a revision'}`,
  );
}

/** Does nothing to what is there. */
function checkoutIn(path: string, named: string): Checkout {
  // A folder in another repository would be told by the revision of that one.
  if (!existsSync(join(path, 'src', 'main.ts')) || git(['rev-parse', '--show-toplevel'], path) !== path) {
    throw new Error(`--against: ${named} is no checkout of Hipache`);
  }
  if (!existsSync(join(path, 'node_modules'))) {
    throw new Error(`--against: ${named} has no node_modules; run "npm ci" in it`);
  }
  return { root: path, ...describeRevision(path), remove: () => {} };
}

function worktreeOf(commit: string, named: string, directory: string): Checkout {
  const lock = 'package-lock.json';
  if (git(['show', `${commit}:${lock}`]) !== readFileSync(join(root, lock), 'utf8').trim()) {
    throw new Error(
      `--against: ${named} has other packages than this checkout (${lock}); check it out into a directory of its own, ` +
        'run "npm ci" in it, and give that directory',
    );
  }
  const path = join(realpathSync(directory), 'against');
  const remove = () => {
    process.off('exit', remove);
    git(['worktree', 'remove', '--force', path]);
  };
  process.once('exit', remove);
  try {
    const added = git(['-c', 'core.hooksPath=/dev/null', 'worktree', 'add', '--quiet', '--detach', path, commit]);
    if (added === null) throw new Error(`--against: git could not make a worktree of ${named}`);
    symlinkSync(join(root, 'node_modules'), join(path, 'node_modules'));
    return { ...checkoutIn(path, named), remove };
  } catch (error) {
    remove();
    throw error;
  }
}

/** What git prints, null where it fails. */
function git(args: readonly string[], cwd = root): string | null {
  const { status, stdout } = spawnSync('git', args, { cwd, encoding: 'utf8' });
  return status === 0 ? stdout.trim() : null;
}
