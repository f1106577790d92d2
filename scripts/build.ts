// npm run build, and before a package is made: dist/ from src/, from nothing.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './files.ts';
import { runHere } from './run.ts';

rmSync(join(root, 'dist'), { recursive: true, force: true });
process.exitCode = await runHere(join(root, 'node_modules', '.bin', 'tsc'), ['-p', 'tsconfig.build.json']);
