import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundle } from './bundle.ts';
import { type BuiltFile, root } from './files.ts';

const source = join(root, 'dashboard');

/** The files of the dashboard: one page, one script and one style sheet, which need nothing from elsewhere. */
export async function dashboardFiles(): Promise<readonly BuiltFile[]> {
  const [script, ...others] = await bundle(
    { input: join(source, 'main.tsx'), platform: 'browser', tsconfig: join(source, 'tsconfig.json') },
    { format: 'esm', minify: true, codeSplitting: false },
  );
  if (others.length > 0) throw new Error('The dashboard has to be one script.');
  const styles = ['node_modules/uplot/dist/uPlot.min.css', 'dashboard/base.css', 'dashboard/style.css'];
  return [
    { path: 'index.html', text: readFileSync(join(source, 'index.html'), 'utf8') },
    { path: 'assets/app.js', text: script.code },
    { path: 'assets/app.css', text: styles.map((path) => readFileSync(join(root, path), 'utf8')).join('\n') },
  ];
}
