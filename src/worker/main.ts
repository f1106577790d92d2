// The program of a worker process. The primary starts it and sends over IPC what to serve.
import { isShortage } from '../base/descriptors.ts';
import { WorkerLink } from '../processes/worker-link.ts';
import { Worker } from './worker.ts';

// Whatever lacks a resource has its own handling. If one place has none, that must not end every connection here.
process.on('uncaughtException', (error: Error) => {
  process.stderr.write(`hipache worker: ${error.stack ?? error.message}\n`);
  if (!isShortage(error)) process.exit(1);
});

new WorkerLink((start, link) => Worker.start(start, link)).run();
