// npm run build, and before a package is made: dist/ from src/, from nothing.
import { join } from 'node:path';
import { root } from './files.ts';
import { buildProgram } from './program.ts';

await buildProgram(join(root, 'dist'));
