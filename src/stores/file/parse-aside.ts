import { Worker } from 'node:worker_threads';
import { entryPoint } from '../../base/package-files.ts';
import type { FileFormat, ParsedFile } from './content.ts';
import { parseRoutesFile } from './parse.ts';

/** Texts up to this length are parsed at once: it takes a few milliseconds. */
const shortCharsMax = 16 * 1024;
const memoryMibMax = 1024;

/** Parses a routes file; a long one in a thread of its own, since it can take seconds. */
export async function parseAside(text: string, format: FileFormat): Promise<ParsedFile> {
  if (text.length <= shortCharsMax) return parseRoutesFile(text, format);
  const thread = new Worker(entryPoint('stores/file/parse-thread'), {
    workerData: { text, format },
    execArgv: [],
    name: 'hipache-routes',
    resourceLimits: { maxOldGenerationSizeMb: memoryMibMax },
  });
  const { promise, resolve, reject } = Promise.withResolvers<ParsedFile>();
  thread.once('message', resolve);
  thread.once('error', reject);
  thread.once('exit', () => reject(new Error('the thread that parses the file ended')));
  try {
    return await promise;
  } finally {
    await thread.terminate();
  }
}
