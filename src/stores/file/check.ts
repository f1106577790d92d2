import { shownProblems } from './content.ts';
import { badFile, isMissing, unreadable } from './errors.ts';
import type { FilePlace } from './file-url.ts';
import { parseAside } from './parse-aside.ts';
import { readText, stampOf } from './reading.ts';

/**
 * Reads a routes file without opening a store.
 * @returns the problems of its records, and that it is missing: neither prevents a start.
 * @throws HipacheError with source `store`: the file cannot be used.
 */
export async function checkRoutesFile({ path, format }: FilePlace): Promise<readonly string[]> {
  let text: string | null;
  try {
    text = await readText(path, await stampOf(path));
  } catch (cause) {
    if (isMissing(cause)) return [`${path} does not exist; requests get 503 until it does`];
    throw unreadable(path, cause);
  }
  if (text === null) return [`${path} is being written at this moment`];
  const { content, problems } = await parseAside(text, format);
  if (content === null) throw badFile(path, problems);
  return problems.length === 0 ? [] : [`${path}: ${shownProblems(problems)}`];
}
