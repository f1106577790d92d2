// The program of a worker process. The primary starts it and sends over IPC what to serve.
import { WorkerLink } from '../processes/worker-link.ts';
import { Worker } from './worker.ts';

new WorkerLink((start, link) => Worker.start(start, link)).run();
