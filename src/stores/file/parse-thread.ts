import { parentPort, workerData } from 'node:worker_threads';
import type { FileFormat } from './content.ts';
import { parseRoutesFile } from './parse.ts';

const { text, format } = workerData as { readonly text: string; readonly format: FileFormat };
parentPort?.postMessage(parseRoutesFile(text, format));
