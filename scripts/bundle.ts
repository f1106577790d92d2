import { type OutputOptions, type RolldownOutput, rolldown } from 'rolldown';
import { root } from './files.ts';

/** Bundles modules of this checkout. */
export async function bundle(
  input: Parameters<typeof rolldown>[0] & object,
  output: OutputOptions,
): Promise<RolldownOutput['output']> {
  const build = await rolldown({ cwd: root, ...input });
  try {
    return (await build.generate(output)).output;
  } finally {
    await build.close();
  }
}
